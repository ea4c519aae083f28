// Calls to the server that served this page.

const TITLES = {
	0: 'The server does not answer',
	400: 'This cannot be used',
	401: 'This server needs a key',
	404: 'The server no longer has this',
	413: 'This is too large for the server',
	429: 'The server is busy',
	503: 'The server is not ready',
};

/** A refusal by the server, or no answer at all. */
export class Fault extends Error {
	constructor(status, { message, fleming } = {}, request = '', title = TITLES[status] ?? 'The server failed') {
		super(message ?? title);
		Object.assign(this, { status, request, title, ...fleming });
	}
}

const offline = () => new Fault(0, { fleming: { hint: 'See whether the server runs and the network is up.' } });

// In memory alone: a reload forgets it.
let key = null;
/** What the page does when a key is needed, when the server is lost, and when it has answered. */
export const hooks = {};
const authorized = () => (key ? { Authorization: `Bearer ${key}` } : {});

/** Runs a call, and asks for a key as long as the server refuses the one there is. */
async function withKey(attempt) {
	for (;;) {
		const used = key;
		try {
			const result = await attempt();
			hooks.answered();
			return result;
		} catch (fault) {
			if (fault.status === 0) hooks.lost();
			if (fault.status !== 401) throw fault;
			// Another call may have asked meanwhile.
			if (key === used) {
				const given = await hooks.needKey(used !== null);
				if (!given) throw fault;
				key = given;
			}
		}
	}
}

function faultOf(status, request, text) {
	try {
		return new Fault(status, JSON.parse(text).error, request ?? '');
	} catch {
		// A proxy's own page.
		return new Fault(status, { message: `HTTP ${status}` });
	}
}

/** A response with a good status. */
export const call = (path, { json, signal } = {}) =>
	withKey(async () => {
		let response;
		try {
			response = await fetch(path, {
				method: json ? 'POST' : 'GET',
				signal,
				cache: 'no-store',
				headers: { ...authorized(), ...(json && { 'Content-Type': 'application/json' }) },
				body: json && JSON.stringify(json),
			});
		} catch (error) {
			throw error.name === 'AbortError' ? error : offline();
		}
		if (!response.ok) throw faultOf(response.status, response.headers.get('x-request-id'), await response.text());
		return response;
	});

export const getJson = async (path, options) => (await call(path, options)).json();

/** Uploads a file. `fetch` does not say how much has gone. */
export function upload(name, blob, progress, signal) {
	const form = new FormData();
	form.append('purpose', 'user_data');
	// The page deletes a study when it is done with it. This is for a page that was lost.
	form.append('expires_after[anchor]', 'created_at');
	form.append('expires_after[seconds]', '7200');
	form.append('file', blob, name);
	const send = (resolve, reject) => {
		const request = new XMLHttpRequest();
		request.open('POST', '/v1/files');
		for (const header of Object.entries(authorized())) request.setRequestHeader(...header);
		request.upload.onprogress = ({ loaded, total }) => progress(loaded, total);
		request.onerror = () => reject(offline());
		request.onabort = () => reject(new DOMException('', 'AbortError'));
		request.onload = () => {
			const { status, responseText } = request;
			if (status === 200) resolve(JSON.parse(responseText));
			else reject(faultOf(status, request.getResponseHeader('x-request-id'), responseText));
		};
		signal.addEventListener('abort', () => request.abort());
		request.send(form);
	};
	return withKey(() => new Promise(send));
}

/** Deletes an upload, also while the page closes. Where that fails, it expires. */
export const forget = ({ id }) => fetch(`/v1/files/${id}`, { method: 'DELETE', headers: authorized(), keepalive: true }).catch(() => {});
