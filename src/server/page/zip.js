// What is given becomes uploads: the files of a DICOM series one ZIP archive, all others themselves.

const TABLE = new Uint32Array(256).map((_, n) => {
	for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
	return n;
});

/** CRC-32 of more bytes; of the first ones, `crc` is 0. */
export function crc32(bytes, crc) {
	crc = ~crc;
	for (let i = 0; i < bytes.length; i += 1) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]) & 255];
	return ~crc >>> 0;
}

/** Little-endian numbers, each with its bytes. */
const numbers = (...pairs) => new Uint8Array(pairs.flatMap(([value, width]) => Array.from({ length: width }, (_, i) => (value >>> (8 * i)) & 255)));

/** An archive of files as they are. Entries are numbered, because names of files often name patients. */
export async function zip(files, progress = () => {}) {
	const total = files.reduce((sum, file) => sum + file.size + 150, 22);
	if (files.length > 65535 || total > 0xffffffff) throw new RangeError(`${files.length} files of ${total} bytes; one upload holds 65535 files and 4 GiB`);
	const local = [];
	const central = [];
	let offset = 0;
	for (const [index, file] of files.entries()) {
		const name = new TextEncoder().encode(String(index + 1).padStart(6, '0'));
		let crc = 0;
		const reader = file.stream().getReader();
		for (let part = await reader.read(); !part.done; part = await reader.read()) crc = crc32(part.value, crc);
		// Version 2.0, no flags, stored, 1980-01-01 0:00.
		const shared = [[20, 2], [0, 2], [0, 2], [0, 2], [33, 2], [crc, 4], [file.size, 4], [file.size, 4], [name.length, 2], [0, 2]];
		const head = numbers([0x04034b50, 4], ...shared);
		local.push(head, name, file);
		central.push(numbers([0x02014b50, 4], [20, 2], ...shared, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]), name);
		offset += head.length + name.length + file.size;
		progress(index + 1, files.length);
	}
	const size = central.reduce((sum, part) => sum + part.length, 0);
	const end = numbers([0x06054b50, 4], [0, 4], [files.length, 2], [files.length, 2], [size, 4], [offset, 4], [0, 2]);
	return new Blob([...local, ...central, end]);
}

// First bytes of what is no DICOM file without a preamble.
const KNOWN = ['\x89PNG', '\xff\xd8', 'GIF8', 'RIFF', 'BM', 'II*\0', 'MM\0*', '\x1aE\xdf\xa3', '\x93NUMPY', '\x1f\x8b', 'PK', '%PDF', '\0\0\0\x0cjP'];

async function kind(file) {
	const head = String.fromCharCode(...new Uint8Array(await file.slice(0, 132).arrayBuffer()));
	if (head.endsWith('DICM')) return 'dicom';
	return KNOWN.some((magic) => head.startsWith(magic)) || head.slice(4, 8) === 'ftyp' || file.name.endsWith('.nii') ? 'known' : 'unknown';
}

/** Uploads `{name, blob}` for files that were given together. */
export async function uploads(files, folder, progress) {
	const kinds = await Promise.all(files.map(kind));
	// Beside DICOM files, what cannot be told is one without a preamble, or is passed over by the reader.
	const dicom = kinds.includes('dicom');
	const series = files.filter((_, i) => dicom && kinds[i] !== 'known');
	// A folder of a series often holds a preview or a report beside it.
	const apart = dicom && folder ? [] : files.filter((file) => !series.includes(file));
	if (series.length === 1) apart.unshift(series.pop());
	if (apart.length > 16) throw new RangeError(`${apart.length} files that are no DICOM series; at most 16 are asked about together`);
	const made = apart.map((file) => ({ name: file.name, blob: file }));
	if (series.length) made.unshift({ name: `${folder ?? 'series'}.zip`, blob: await zip(series, progress) });
	return made;
}

/** The files of a drop, and the name of the folder if one was dropped. */
export async function dropped(transfer) {
	const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
	const folder = entries.find((entry) => entry.isDirectory)?.name;
	if (!folder) return [[...transfer.files]];
	const files = [];
	const walk = async (entry) => {
		if (entry.isFile) return files.push(await new Promise((...ends) => entry.file(...ends)));
		const reader = entry.createReader();
		// A folder comes in portions, the last of which is empty.
		for (;;) {
			const some = await new Promise((...ends) => reader.readEntries(...ends));
			if (!some.length) return;
			for (const one of some) await walk(one);
		}
	};
	for (const entry of entries) await walk(entry);
	return [files, folder];
}
