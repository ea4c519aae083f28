/** The data of each server-sent event in a body of bytes, whose chunks may end inside a line, a CRLF or a character. */
export async function* events(stream) {
	const reader = stream.getReader();
	const decoder = new TextDecoder();
	let text = '';
	let data = [];
	try {
		for (;;) {
			const { done, value } = await reader.read();
			text += done ? decoder.decode() : decoder.decode(value, { stream: true });
			for (;;) {
				const end = /\r\n|\n|\r/.exec(text);
				// A CR at the very end may be the first half of a CRLF.
				if (!end || (!done && end[0] === '\r' && end.index + 1 === text.length)) break;
				const line = text.slice(0, end.index);
				text = text.slice(end.index + end[0].length);
				if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
				else if (line === '' && data.length) {
					yield data.join('\n');
					data = [];
				}
			}
			// An event without its empty line is incomplete and is dropped, as in browsers.
			if (done) return;
		}
	} finally {
		reader.cancel().catch(() => {});
	}
}
