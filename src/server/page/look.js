// What of a study is looked at: options of the server by their own names.

import { $, el } from './dom.js';

const volume = ({ modality }) => modality === 'volume';
/** A volume of which is known how the patient lies. */
const patient = (facts) => volume(facts) && facts.chosen.plane;
const video = ({ modality }) => modality === 'video';

const WINDOWS = { '': 'Automatic', lung: 'Lung −600/1500', mediastinum: 'Mediastinum 50/350', soft: 'Soft tissue 40/400', bone: 'Bone 500/2000', brain: 'Brain 40/80', liver: 'Liver 60/150', wide: 'Wide 0/2000', 'own-range': 'Own range', custom: 'Centre/width …' };

// Name, label, studies it is for, and words, numbers (least, step) or the example of a text. Those after `form` are folded away.
const FIELDS = [
	['plane', 'Plane', patient, { '': 'As stored', axial: 'Axial', coronal: 'Coronal', sagittal: 'Sagittal' }],
	['window', 'Window', volume, WINDOWS],
	['slices', 'Slices for the model', volume, [1, 1], '11'],
	['frames', 'Frames for the model', video, [1, 1], '1 a second'],
	['start', 'From second', video, [0, 'any'], 'start'],
	['end', 'To second', video, [0, 'any'], 'end'],
	['form', 'Form', patient, { '': 'Usual', trained: 'As in training', native: 'Slices as they are' }],
	['slab', 'Between slices', patient, { '': 'Left out', mean: 'Mean', max: 'Maximum' }],
	['range', 'Only slices', volume, null, '40-120'],
	['time', 'Point in time', patient, [0, 1], '0'],
];
const FOLDED = 6;

/** The query of options: of those that change what a slice looks like, or of all. */
export const query = (options, all) => new URLSearchParams(Object.entries(options).filter(([name]) => all || ['series', 'plane', 'window', 'time'].includes(name))).toString();

/** Fills the form for a study; `changed` is called after each change of its options. */
export function fill({ facts, options }, changed) {
	const shown = (fields) => fields.filter(([, , fits]) => fits(facts)).map((field) => control(field, options, changed));
	const rest = shown(FIELDS.slice(FOLDED));
	const open = $('look').querySelector('[open]') !== null;
	$('look').replaceChildren(
		chooser(facts.contents, options, changed),
		el('div', { class: 'fields' }, shown(FIELDS.slice(0, FOLDED))),
		rest.length ? el('details', { open }, el('summary', null, 'More options'), el('div', { class: 'fields' }, rest)) : '',
	);
}

/** The series of a study, such as `series 3 (CT, 120 slices of 512×512)`. */
function chooser({ series = [], chosen }, options, changed) {
	if (series.length < 2) return '';
	const known = new Set();
	const entry = (text) => {
		const number = /^series (\d+)/.exec(text)?.[1];
		// A number chooses the largest of the series that have it.
		const disabled = !number || known.has(number);
		known.add(number);
		const checked = !disabled && (options.series ? options.series === number : text === chosen);
		const choose = () => {
			// Other options may not fit it.
			for (const name in options) delete options[name];
			options.series = number;
			changed();
		};
		const why = disabled && el('small', null, number ? ' (smaller than another of this number)' : ' (nothing to choose it by)');
		return el('label', { class: 'check' }, el('input', { type: 'radio', name: 'series', value: number, disabled, checked, onchange: choose }), el('span', null, text, why));
	};
	return el('fieldset', null, el('legend', null, `${series.length} series in this study`), el('div', { class: 'choices' }, series.map(entry)));
}

function control([name, label, , kind, placeholder], options, changed) {
	const id = `look-${name}`;
	const value = options[name];
	const set = (next) => {
		if (next === '') delete options[name];
		else options[name] = Array.isArray(kind) ? Number(next) : next;
		changed();
	};
	const text = (more) => el('input', { autocomplete: 'off', value, ...more, onchange: ({ target }) => target.reportValidity() && set(target.value.trim()) });
	if (!kind) return el('label', { class: 'field' }, label, text({ id, placeholder }));
	if (Array.isArray(kind)) return el('label', { class: 'field' }, label, text({ id, placeholder, type: 'number', min: kind[0], step: kind[1] }));
	const own = value !== undefined && !(value in kind);
	const custom = text({ 'aria-label': 'Centre and width', placeholder: '40/400', required: true, hidden: !own });
	const choose = ({ target }) => {
		custom.hidden = target.value !== 'custom';
		if (custom.hidden) set(target.value);
		else custom.focus();
	};
	const selected = own ? 'custom' : String(value ?? '');
	return el('label', { class: 'field' }, label, el('select', { id, onchange: choose }, Object.entries(kind).map(([word, meaning]) => el('option', { value: word, selected: word === selected }, meaning))), custom);
}
