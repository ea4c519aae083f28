// A study slice by slice, as the server draws it, and beside it what the model is shown of it.

import { call } from './api.js';
import { $, blobOf, el, short } from './dom.js';

const KEPT = 64;
const LETTERS = { axial: 'APRL', coronal: 'HFRL', sagittal: 'HFAP' };

/** The first and the last slice that a frame was made of. */
const span = ({ slices, slice_index: slice, frame_index: frame }) => slices ?? [slice ?? frame, slice ?? frame];

/** Where a frame lies in its study, in a few words. */
export function placed(frame) {
	const [first, last] = span(frame);
	if (frame.time !== undefined) return `${frame.time.toFixed(1)} s`;
	if (first === undefined) return 'whole picture';
	return first === last ? `slice ${first}` : `slices ${first}–${last}`;
}

let study = null;
let path = '';
let at = 0;
let total = 1;
let wanted = null;
let busy = false;
let marks = [];
let controller = new AbortController();
const kept = new Map();

async function load(index) {
	if (kept.has(index)) return kept.get(index);
	const { signal } = controller;
	const response = await call(`${path}&index=${index}`, { signal });
	const blob = await response.blob();
	signal.throwIfAborted();
	total = Number(response.headers.get('x-fleming-count'));
	kept.set(index, URL.createObjectURL(blob));
	if (kept.size > KEPT) {
		const [oldest, url] = kept.entries().next().value;
		URL.revokeObjectURL(url);
		kept.delete(oldest);
	}
	return kept.get(index);
}

/** Loads the slice that is wanted last, then its neighbours. */
async function pump() {
	if (busy) return;
	busy = true;
	try {
		while (wanted !== null) {
			const index = wanted;
			wanted = null;
			$('slice').src = await load(index);
			$('slice').alt = total > 1 ? `${word()} ${index} of ${study.name}` : study.name;
			note('');
		}
		for (const step of [1, -1, 2, -2, 3, -3]) if (wanted === null && at + step >= 0 && at + step < total) await load(at + step);
	} catch (error) {
		explain(error);
	}
	busy = false;
	if (wanted !== null) pump();
}

function note(text) {
	$('stage-note').textContent = text;
	$('stage-note').hidden = !text;
}

const explain = (error) => error.name !== 'AbortError' && note(`${error.title}. ${error.hint ?? error.message}`);

const word = () => (study.facts.modality === 'video' ? 'Frame' : 'Slice');

function describe() {
	const { chosen, contents } = study.facts;
	const several = total > 1;
	const seen = marks.find(({ first, last }) => !several || (at >= first && at <= last));
	const [plane] = (chosen.plane ?? '').split(',');
	$('what').textContent = [contents.modality, plane].filter(Boolean).join(' · ');
	$('place').textContent = several ? `${word()} ${at} · 0–${total - 1}` : '';
	$('seen-here').textContent = several && seen ? 'Seen by the model' : '';
	$('values').textContent = seen?.frame.window?.map(short).join(' to ') ?? '';
	const letters = contents.orientation === 'none' ? '' : (LETTERS[plane] ?? '');
	document.querySelectorAll('#stage b').forEach((side, i) => (side.textContent = letters[i] ?? ''));
	$('scroll').hidden = !several;
	$('slider').max = total - 1;
	$('slider').value = at;
	$('slider').setAttribute('aria-valuetext', `${at} of 0 to ${total - 1}${seen ? ', seen by the model' : ''}`);
	$('word').textContent = word();
	$('at').textContent = at;
	for (const { first, picture } of marks) picture.setAttribute('aria-current', several && first === seen?.first);
}

export function go(index) {
	wanted = at = Math.max(0, Math.min(total - 1, index));
	describe();
	pump();
}

/** Puts another study in view, or none. */
export function clear(next) {
	controller.abort();
	controller = new AbortController();
	kept.forEach((url) => URL.revokeObjectURL(url));
	kept.clear();
	wanted = null;
	if (study === next) return;
	study = null;
	mark([]);
	study = next;
	total = 1;
	$('slice').removeAttribute('src');
}

/** Shows a study under these options, in its middle or, if it was in view, at the same place. */
export async function show(next, query) {
	const share = next === study && total > 1 ? at / (total - 1) : next.facts.modality === 'volume' ? 0.5 : 0;
	clear(next);
	const size = Math.min(2048, Math.ceil(($('stage').clientWidth * devicePixelRatio) / 256) * 256);
	path = `/v1/files/${study.id}/slices?size=${size}${query && `&${query}`}`;
	describe();
	try {
		// Only an answer says how many there are.
		await load(0);
		go(Math.round(share * (total - 1)));
	} catch (error) {
		explain(error);
	}
}

let pictures = [];

/** The frames that the model sees of the study in view, as a strip and on the slider. */
export function mark(frames) {
	pictures.flat().forEach((url) => URL.revokeObjectURL(url));
	// Of a picture in tiles, all are shown.
	pictures = frames.map(({ images, image }) => (images ?? [image]).map(blobOf));
	marks = frames.map((frame, i) => {
		const [first, last] = span(frame);
		const place = placed(frame);
		const label = `Frame ${i + 1} of ${frames.length} for the model: ${place}`;
		const picture = el('button', { type: 'button', 'aria-label': label, onclick: () => go(first ?? 0) }, el('span', null, pictures[i].map((src) => el('img', { src, alt: '' }))), el('span', null, place));
		return { first, last, frame, picture };
	});
	$('strip').replaceChildren(...marks.map(({ picture }) => el('li', null, picture)));
	$('marks').replaceChildren(
		...marks.map(({ first, last }) => {
			const tick = el('span');
			tick.style.left = `${(100 * first) / (total - 1)}%`;
			tick.style.width = `${(100 * (last - first)) / (total - 1)}%`;
			return tick;
		}),
	);
	if (study) describe();
}

let rolled = 0;
const wheel = (event) => {
	// At either end the page scrolls on.
	if (event.ctrlKey || (event.deltaY < 0 ? at === 0 : at === total - 1)) return;
	event.preventDefault();
	rolled += event.deltaMode ? event.deltaY * 40 : event.deltaY;
	const steps = Math.trunc(rolled / 40);
	rolled -= steps * 40;
	if (steps) go(at + steps);
};
$('stage').addEventListener('wheel', wheel, { passive: false });

// The arrow keys scroll from here on.
$('stage').onclick = () => $('slider').focus();
$('slider').oninput = () => go(Number($('slider').value));
