// The page: from a dropped file to an answer.

import { Fault, call, forget, getJson, hooks, upload } from './api.js';
import { $, announce, button, bytes, count, el, errorCard, icon, short, warnings } from './dom.js';
import { fill, query } from './look.js';
import * as talk from './talk.js';
import * as viewer from './viewer.js';
import { dropped, uploads } from './zip.js';

// Title, what it is, thumbnail or icon, files, questions.
const EXAMPLES = [
	['Chest radiograph', 'one picture', '/examples/chest.png', ['chest.png'], ['Is there a nodule, and on which side?']],
	['Two retinas', 'to compare', '/examples/fundus.png', ['fundus.png', 'fundus_clear.png'], ['Which of the two shows haemorrhages of the retina?']],
	['Instruments', 'a clip of 4 seconds', 'clip', ['clip.mp4'], ['From which side does the instrument enter?', 'How many instruments do you see?']],
	['CT of the chest', 'a volume of 32 slices', 'volume', ['chest.nii.gz'], ['What device is observed on the chest wall?', 'On which side of the chest is the device?']],
];

let studies = [];
let current = null;
let model;

for (const node of document.querySelectorAll('[data-icon]')) node.prepend(icon(node.dataset.icon));

let keyAsked = null;
hooks.needKey = (refused) => {
	keyAsked ??= new Promise((resolve) => {
		let given = null;
		$('key-why').textContent = refused ? 'The server refused that key.' : '';
		$('key-form').onsubmit = (event) => {
			event.preventDefault();
			given = $('key-input').value.trim();
			$('key').close();
		};
		$('key').onclose = () => {
			$('key-input').value = '';
			keyAsked = null;
			resolve(given);
		};
		$('key').showModal();
	});
	return keyAsked;
};
$('key-cancel').onclick = () => $('key').close();

const STATES = {
	ok: ['Ready', ''],
	loading: ['Loading', 'The model is loading. Studies can be looked at.'],
	draining: ['Closing', 'The server stops soon and takes no new questions.'],
	stalled: ['Stalled', 'The model does not go on.'],
	failed: ['Failed', 'The model could not be loaded. The log of the server says why.'],
	lost: ['Offline', 'The server does not answer. This page keeps trying.'],
};
let state = '';
let timer = 0;

function setState(next) {
	state = next;
	const [word, text] = STATES[next] ?? STATES.failed;
	$('health').textContent = word;
	$('health').dataset.state = next;
	$('banner').hidden = !text;
	$('banner-text').textContent = text;
	clearTimeout(timer);
	if (next !== 'ok') timer = setTimeout(look, 4000);
}

async function look() {
	try {
		setState((await (await fetch('/health', { cache: 'no-store' })).json()).status);
		model ??= (await getJson('/v1/models')).data[0].id;
		$('model').textContent = model;
	} catch (error) {
		if (error.status === undefined) setState('lost');
	}
}
hooks.lost = () => setState('lost');
hooks.answered = () => state === 'lost' && look();
$('retry').onclick = look;
$('tiles').onchange = preview;
addEventListener('online', look);
addEventListener('offline', hooks.lost);

const work = (...nodes) => $(studies.length ? 'study-work' : 'welcome-work').replaceChildren(...nodes);
const fail = (error, retry) => {
	const fault = error instanceof Fault ? error : new Fault(-1, error, '', 'These files cannot be sent');
	work(errorCard(fault, retry, () => work()));
};

let sending = null;
async function bring(files, folder, questions = []) {
	if (!files.length || sending) return;
	sending = new AbortController();
	const bar = el('progress', { 'aria-label': 'Progress' });
	const text = el('span', null, 'Reading');
	const say = (what, value, max) => {
		text.textContent = what;
		Object.assign(bar, { max, value });
	};
	work(el('div', { class: 'progress' }, text, bar, button('stop', 'Stop', () => sending.abort())));
	const added = [];
	try {
		for (const { name, blob } of await uploads(files, folder, (part, all) => say(`Packing ${count(part)} of ${count(all)} files`, part, all))) {
			const file = await upload(name, blob, (part, all) => say(part < all ? `Sending ${name}: ${bytes(part)} of ${bytes(all)}` : `The server reads ${name}`, part, all), sending.signal);
			added.push({ id: file.id, name: folder ?? name, size: file.bytes, facts: file.fleming, options: {} });
		}
		work();
		studies.push(...added);
		opened(added, questions);
	} catch (error) {
		added.forEach(forget);
		work();
		if (error.name === 'AbortError') announce('Stopped.');
		else fail(error, () => bring(files, folder, questions));
	}
	sending = null;
}

const screen = (stage) => {
	document.body.dataset.stage = stage;
	$('welcome').hidden = stage === 'study';
	for (const id of ['study', 'talk', 'restart']) $(id).hidden = stage === 'empty';
};

function opened([first], questions) {
	screen('study');
	const suggest = (text) => button('', text, () => ask(text));
	$('suggestions').replaceChildren(...questions.map(suggest));
	$('suggestions').hidden = !questions.length;
	view(first);
	announce(`${first.name}: ${$('facts').textContent}`);
	$('name').focus({ preventScroll: true });
	preview();
}

async function example(files, questions) {
	try {
		const load = async (name) => new File([await (await call(`/examples/${name}`)).blob()], name);
		await bring(await Promise.all(files.map(load)), undefined, questions);
	} catch (error) {
		fail(error, () => example(files, questions));
	}
}

$('restart').onclick = () => {
	talk.stop();
	studies.forEach(forget);
	[studies, current] = [[], null];
	talk.turns.length = 0;
	viewer.clear();
	for (const id of ['study-work', 'notes']) $(id).replaceChildren();
	$('turns').replaceChildren($('hint'));
	$('hint').hidden = false;
	$('exports').hidden = true;
	screen('empty');
	$('pick').focus();
	announce('The study was deleted from the server.');
};

function view(study) {
	current = study;
	const { format, modality, chosen } = study.facts;
	const { shape, spacing_mm: spacing, size } = chosen;
	const words = [format, modality, shape ? `${shape[0]} slices of ${shape[2]}×${shape[1]}` : size.join('×'), spacing && `${spacing.toReversed().map(short).join('×')} mm`, bytes(study.size)];
	$('name').textContent = study.name;
	$('facts').textContent = words.filter(Boolean).join(' · ');
	$('tabs').hidden = studies.length < 2;
	$('tabs').replaceChildren(...studies.map(tab));
	fill(study, changed);
	viewer.show(study, query(study.options)).then(mark);
}

function tab(one, i) {
	const choose = button('', `${i + 1} ${one.name}`, () => view(one));
	choose.setAttribute('aria-pressed', one === current);
	const drop = () => {
		forget(one);
		studies = studies.filter((other) => other !== one);
		view(current === one ? studies[0] : current);
		preview();
	};
	return el('span', { class: 'tab' }, choose, talk.fresh([one]).length > 0 && button('remove', el('span', { class: 'hidden' }, `Remove ${one.name}`), drop, 'quiet'));
}

async function changed() {
	const focused = document.activeElement;
	frames = [];
	try {
		current.facts = await getJson(`/v1/files/${current.id}/facts?${query(current.options, true)}`);
		view(current);
		(document.getElementById(focused.id) ?? document.querySelector('fieldset :checked'))?.focus();
	} catch {
		// The preview says what is wrong.
	}
	preview();
}

let frames = [];
let previewing = null;
const mark = () => current && viewer.mark(frames.filter(({ study }) => studies[study] === current));
const body = (question) => ({ model, messages: talk.messages(studies, question), fleming: $('tiles').value ? { max_tiles: Number($('tiles').value) } : {} });

/** Shows what the model will see of the studies under these options. */
async function preview() {
	previewing?.abort();
	previewing = new AbortController();
	$('seen').textContent = 'Preparing';
	try {
		const seen = await getJson('/v1/preview', { json: body($('question').value.trim() || $('question').placeholder), signal: previewing.signal });
		const { usage, context } = seen;
		frames = seen.frames;
		$('seen').textContent = `Frames: ${count(frames.length)} · tokens: ${count(usage.prompt_tokens)} of ${count(context)}`;
		$('notes').replaceChildren(warnings(seen.warnings) || '');
	} catch (error) {
		if (error.name === 'AbortError') return;
		frames = [];
		$('seen').textContent = '';
		$('notes').replaceChildren(errorCard(error, preview));
	}
	mark();
}

let asking = false;
async function ask(question) {
	if (!question || asking || !studies.length) return;
	const choice = $('choice').value.split('\n').map((line) => line.trim()).filter(Boolean);
	const { fleming, ...rest } = body(question);
	const busy = (is) => {
		asking = is;
		const focused = ['ask', 'stop'].includes(document.activeElement.id);
		$('ask').hidden = is;
		$('stop').hidden = !is;
		if (focused) $(is ? 'stop' : 'question').focus();
	};
	busy(true);
	$('question').value = '';
	$('exports').hidden = false;
	$('suggestions').hidden = true;
	const request = {
		...rest,
		...(!$('think').checked && { reasoning_effort: 'none' }),
		stream: true,
		stream_options: { include_usage: true },
		fleming: { ...fleming, ...(choice.length && { choice }), progress: true },
	};
	await talk.ask(question, studies, request, () => ask(question));
	busy(false);
	$('tabs').replaceChildren(...studies.map(tab));
}

$('composer').onsubmit = (event) => {
	event.preventDefault();
	ask($('question').value.trim());
};
$('question').onkeydown = (event) => {
	if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
	event.preventDefault();
	$('composer').requestSubmit();
};
$('look').onsubmit = (event) => event.preventDefault();
$('stop').onclick = talk.stop;
$('print').onclick = () => print();
$('save').onclick = () => {
	const url = URL.createObjectURL(new Blob([JSON.stringify(talk.record($('notice').textContent, studies), null, 2)], { type: 'application/json' }));
	el('a', { href: url, download: 'fleming.json' }).click();
	setTimeout(URL.revokeObjectURL, 60000, url);
};
let folded = [];
addEventListener('beforeprint', () => {
	folded = [...document.querySelectorAll('.turn details:not([open])')];
	for (const one of folded) one.open = true;
});
addEventListener('afterprint', () => folded.forEach((one) => (one.open = false)));
addEventListener('pagehide', () => studies.forEach(forget));

for (const [id, input] of [['pick', 'files'], ['add', 'files'], ['pick-folder', 'folder']]) $(id).onclick = () => $(input).click();
for (const id of ['files', 'folder']) {
	$(id).onchange = () => {
		const files = [...$(id).files];
		$(id).value = '';
		bring(files, files[0]?.webkitRelativePath.split('/')[0] || undefined);
	};
}
addEventListener('paste', ({ clipboardData }) => bring([...clipboardData.files]));
let over = 0;
const hover = (is) => ($('dragging').hidden = !is);
addEventListener('dragover', (event) => {
	event.preventDefault();
	hover(event.dataTransfer.types.includes('Files'));
	clearTimeout(over);
	over = setTimeout(hover, 300, false);
});
addEventListener('drop', async (event) => {
	event.preventDefault();
	bring(...(await dropped(event.dataTransfer)));
});

// The one thing that the browser keeps.
const THEMES = ['auto', 'light', 'dark'];
function setTheme(theme) {
	document.documentElement.dataset.theme = theme;
	$('theme').lastChild.data = `Theme: ${theme}`;
}
let storage = {};
try {
	storage = localStorage;
} catch {
	// It may be forbidden: then the theme follows the system.
}
setTheme(storage.theme ?? 'auto');
$('theme').onclick = () => {
	const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
	setTheme(next);
	storage.theme = next;
};

$('examples').append(
	...EXAMPLES.map(([title, about, thumb, files, questions]) => {
		const picture = el('span', { class: 'thumb' }, thumb.startsWith('/') ? el('img', { src: thumb, alt: '' }) : icon(thumb));
		return el('li', null, el('button', { type: 'button', onclick: () => example(files, questions) }, picture, el('span', null, title, el('small', null, about))));
	}),
);
look();
