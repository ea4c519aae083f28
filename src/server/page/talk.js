// Questions and answers about the studies: one conversation, in this page's memory alone.

import { Fault, call } from './api.js';
import { $, announce, button, count, el, errorCard, facts, seconds, short, warnings } from './dom.js';
import { events } from './sse.js';
import { placed } from './viewer.js';

export const turns = [];
const kept = () => turns.filter(({ finish, answer }) => finish && answer);

/** The studies that no answered question has brought along yet. */
export const fresh = (studies) => studies.filter((study) => !kept().some((turn) => turn.studies.includes(study)));

/** The conversation as messages, with a next question. */
export function messages(studies, question) {
	const asked = (about, text) => ({ role: 'user', content: [...about.map(({ id, options }) => ({ type: 'file', file: { file_id: id }, fleming: options })), { type: 'text', text }] });
	return [...kept().flatMap((turn) => [asked(turn.studies, turn.question), { role: 'assistant', content: turn.answer, reasoning_content: turn.thought || undefined }]), asked(fresh(studies), question)];
}

let running = null;
export const stop = () => running?.abort();

/** Asks, and shows the answer as it comes. `again` asks the same once more after a failure. */
export async function ask(question, studies, request, again) {
	const turn = { question, studies: fresh(studies), request, asked_at: new Date().toISOString(), answer: '', thought: '' };
	const view = shown(turn);
	turns.push(turn);
	running = new AbortController();
	try {
		const response = await call('/v1/chat/completions', { json: request, signal: running.signal });
		turn.id = response.headers.get('x-request-id') ?? '';
		for await (const data of events(response.body)) if (data !== '[DONE]') take(turn, view, JSON.parse(data));
		if (!turn.finish) throw new Fault(0, {}, turn.id, 'The answer broke off');
		view.end();
	} catch (error) {
		if (error.name === 'AbortError') {
			turn.finish = 'cancelled';
			view.end();
		} else {
			turn.finish = null;
			turn.error = error instanceof Fault ? error : new Fault(0, error, turn.id, 'This page failed');
			view.fail(turn.error, () => {
				turns.splice(turns.indexOf(turn), 1);
				view.node.remove();
				again();
			});
		}
	}
	running = null;
}

function take(turn, view, { error, fleming, usage, choices = [], model }) {
	if (error) throw new Fault(0, error, turn.id, 'The answer broke off');
	if (fleming?.progress) view.progress(fleming.progress);
	if (usage) turn.usage = usage;
	for (const { delta = {}, finish_reason: reason } of choices) {
		if (delta.reasoning_content) view.think(delta.reasoning_content);
		if (delta.content) view.write(delta.content);
		if (reason) Object.assign(turn, { model, fleming, finish: fleming?.finish ?? reason });
	}
}

const STAGES = { encoding: 'Looking at the study', prefilling: 'Reading the question' };
const ENDS = { length: 'It reached its longest length.', cancelled: 'Stopped.', 'timed-out': 'The time was up.' };

/** A turn in the page. */
function shown(turn) {
	const answer = el('p', { class: 'answer' });
	const thought = el('p');
	const summary = el('summary', null, 'Thinking');
	const details = el('details', { class: 'thought', open: true, hidden: true }, summary, thought);
	const bar = el('progress', { 'aria-label': 'Progress' });
	const stage = el('span', null, 'Waiting');
	const progress = el('div', { class: 'progress' }, stage, bar);
	const reply = el('div', { class: 'reply', 'aria-busy': 'true' }, progress, details, answer);
	const node = el('article', { class: 'turn' }, el('h3', null, el('span', { class: 'hidden' }, 'Question: '), turn.question), reply);
	// Keeps the end in view, unless the reader has scrolled up.
	const follow = () => {
		const { scrollHeight, scrollTop, clientHeight } = $('turns');
		if (scrollHeight - scrollTop - clientHeight < 160) $('turns').scrollTop = scrollHeight;
	};
	const done = (...more) => {
		progress.remove();
		reply.removeAttribute('aria-busy');
		summary.textContent = 'Thought';
		reply.append(...more.filter(Boolean));
		follow();
	};
	$('hint').hidden = true;
	$('turns').append(node);
	node.scrollIntoView({ block: 'nearest' });
	let unsaid = '';
	return {
		node,
		progress({ stage: name, done: part, total }) {
			const text = STAGES[name] ?? name;
			if (stage.textContent !== text) announce(text);
			stage.textContent = text;
			Object.assign(bar, { max: total || 1, value: part });
		},
		think(text) {
			progress.hidden = true;
			details.hidden = false;
			thought.append(text);
			turn.thought += text;
			follow();
		},
		write(text) {
			progress.hidden = true;
			if (!turn.answer) {
				details.open = false;
				summary.textContent = 'Thought';
			}
			answer.append(text);
			turn.answer += text;
			unsaid += text;
			// Sentences, not tokens.
			const [whole] = /^[^]*[.!?](?=\s)/.exec(unsaid) ?? [''];
			if (whole) announce(whole);
			unsaid = unsaid.slice(whole.length);
			follow();
		},
		end() {
			const end = ENDS[turn.finish] ?? '';
			done(end && el('p', { class: 'end' }, end), turn.fleming && warnings(turn.fleming.warnings), turn.fleming && origin(turn));
			announce(`${unsaid} ${end || 'The answer is complete.'}`);
		},
		fail(fault, retry) {
			done(errorCard(fault, retry));
			reply.scrollIntoView({ block: 'nearest' });
		},
	};
}

/** Where an answer comes from. */
function origin({ fleming, usage, finish, id, answer }) {
	const { frames, timings_ms: times, package: model } = fleming;
	const cells = (frame, i) => [i + 1, placed(frame), frame.position_mm === undefined ? '' : `${short(frame.position_mm)} mm`, frame.window?.map(short).join(' to ') ?? '', frame.part ?? frame.source];
	const row = (tag, all) => el('tr', null, all.map((cell) => el(tag, null, cell)));
	return el(
		'footer',
		{ class: 'origin head' },
		el('p', { class: 'small muted' }, `First token after ${seconds(times.first_token)}, the last ${seconds(times.decode)} later`),
		button('', 'Copy answer', () => copy(answer), 'quiet'),
		el(
			'details',
			null,
			el('summary', null, 'Where this comes from'),
			facts([
				['Model', `${model.name}, SHA-256 ${model.digest}`],
				['Tokens', usage && `${count(usage.prompt_tokens)} read, ${count(usage.prompt_tokens_details?.cached_tokens ?? 0)} of them known already; ${count(usage.completion_tokens)} written`],
				['Times', Object.entries(times).map(([step, ms]) => `${step.replace('_', ' ')} ${seconds(ms)}`).join(', ')],
				['Finish', finish],
				['Request', id],
			]),
			el('div', { class: 'scrolls', tabindex: 0, role: 'group', 'aria-label': 'Frames that the model saw' }, el('table', null, row('th', ['Frame', 'Place', 'Position', 'Values', 'Source']), frames.map((frame, i) => row('td', cells(frame, i))))),
		),
	);
}

function copy(text) {
	// Without TLS, `navigator.clipboard` is only there on the server's own machine.
	const fill = (event) => {
		event.clipboardData.setData('text/plain', text);
		event.preventDefault();
	};
	document.addEventListener('copy', fill, { once: true });
	announce(document.execCommand('copy') ? 'Copied.' : 'The browser refused to copy.');
}

/** The whole exchange. */
export const record = (notice, studies) => ({
	notice,
	exported_at: new Date().toISOString(),
	studies: studies.map(({ id, name, options, facts: all }) => ({ file_id: id, name, options, facts: all })),
	turns: turns.map(({ studies: _, error, ...turn }) => ({ ...turn, error: error && { ...error, message: error.message } })),
});
