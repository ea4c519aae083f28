// Small helpers. Text from a file or a model only ever becomes a text node.

export const $ = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick`) and children. */
export function el(tag, attributes, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes ?? {})) {
		if (value === undefined || value === false) continue;
		if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
		else node.setAttribute(name, value === true ? '' : value);
	}
	node.append(...children.flat(2).filter((child) => child || child === 0));
	return node;
}

export function icon(name) {
	const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
	svg.setAttribute('class', 'icon');
	svg.setAttribute('aria-hidden', 'true');
	const use = svg.appendChild(document.createElementNS(svg.namespaceURI, 'use'));
	use.setAttribute('href', `#i-${name}`);
	return svg;
}

export const button = (name, text, onclick, kind) => el('button', { type: 'button', class: kind, onclick }, name && icon(name), el('span', null, text));

/** Sentences for a screen reader, one after the other. */
export function announce(text) {
	$('live').append(el('p', null, text));
}

export const count = (number) => number.toLocaleString('en');
export const short = (number) => Number(number.toPrecision(4));
export const seconds = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);
export const bytes = (n) => (n < 1e6 ? `${Math.ceil(n / 1e3)} kB` : `${(n / 1e6).toFixed(1)} MB`);

/** A base64 data URL as the address of a blob: the page's policy allows no data: pictures. */
export function blobOf(url) {
	const [head, body] = url.split(',');
	return URL.createObjectURL(new Blob([Uint8Array.from(atob(body), (c) => c.charCodeAt(0))], { type: head.slice(5, -7) }));
}

export const facts = (rows) => el('dl', { class: 'facts' }, rows.filter(([, value]) => value).map(([name, value]) => [el('dt', null, name), el('dd', null, value)]));
export const warnings = (all) => all.length > 0 && el('ul', { class: 'warnings', 'aria-label': 'Warnings' }, all.map((one) => el('li', null, one)));

/** What an error says: its four facts, the number of the request, and what can be done. */
export function errorCard(fault, retry, dismiss) {
	const { thing, wanted, got, hint, status, request } = fault;
	return el(
		'div',
		{ class: 'error', role: 'alert' },
		el('p', { class: 'title' }, icon('warn'), fault.title),
		thing || hint ? facts([['What', thing], ['Wanted', wanted], ['Got', got], ['What to do', hint]]) : el('p', null, fault.message),
		status > 0 && el('p', { class: 'small' }, `HTTP ${status}${request && `, request ${request}`}`),
		el('div', { class: 'row' }, button('again', 'Try again', retry), dismiss && button('remove', 'Dismiss', dismiss, 'quiet')),
	);
}
