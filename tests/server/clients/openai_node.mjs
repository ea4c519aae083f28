// The client of OpenAI for JavaScript: plain, streamed, in a form, uploads, and its classes of errors.

import assert from "node:assert/strict";
import fs from "node:fs";
import OpenAI from "openai";

const { FLEMING_BASE: baseURL, FLEMING_KEY: apiKey, FLEMING_PICTURE: path } = process.env;
const client = new OpenAI({ baseURL, apiKey });
const model = (await client.models.list()).data[0].id;
const url = "data:image/png;base64," + fs.readFileSync(path).toString("base64");
const question = "Is there a nodule, and on which side?";
const about = (part) => [{ role: "user", content: [part, { type: "text", text: question }] }];
const messages = about({ type: "image_url", image_url: { url } });

const reply = await client.chat.completions.create({ model, messages });
assert.equal(reply.choices[0].message.content, "right lung");
assert.match(reply._request_id, /^req-/);

let text = "";
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }))
  text += chunk.choices[0]?.delta?.content ?? "";
assert.equal(text, "right lung");

const stream = client.chat.completions.stream({ model, messages });
assert.equal(await stream.finalContent(), "right lung");

const schema = {
  type: "object",
  properties: { found: { type: "boolean" } },
  required: ["found"],
  additionalProperties: false,
};
const response_format = { type: "json_schema", json_schema: { name: "side", strict: true, schema } };
const formed = await client.chat.completions.create({ model, messages, response_format, max_tokens: 200 });
assert.equal(typeof JSON.parse(formed.choices[0].message.content).found, "boolean");

await assert.rejects(client.chat.completions.create({ model, messages: [] }), (error) => {
  assert(error instanceof OpenAI.BadRequestError);
  assert.equal(error.param, "messages");
  return true;
});
await assert.rejects(client.chat.completions.create({ model: "other", messages }), OpenAI.NotFoundError);
const wrong = new OpenAI({ baseURL, apiKey: "wrong-key-of-a-test-0123456789" });
await assert.rejects(wrong.models.list(), OpenAI.AuthenticationError);

const file = await client.files.create({ file: fs.createReadStream(path), purpose: "user_data" });
const uploaded = about({ type: "file", file: { file_id: file.id } });
assert.equal(
  (await client.chat.completions.create({ model, messages: uploaded })).choices[0].message.content,
  "right lung",
);
assert.equal((await client.files.delete(file.id)).deleted, true);
