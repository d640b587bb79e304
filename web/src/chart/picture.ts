import type { Theme } from "./theme";

export interface Caption {
	title: string;
	subtitle: string;
	lines: { name: string; colour: string }[];
	notes: string[];
}

/** A picture that still says what it shows when it has left the page. */
export function picture(chart: HTMLCanvasElement, theme: Theme, caption: Caption): Promise<Blob> {
	const scale = 2;
	const width = chart.width / scale;
	const height = chart.height / scale;
	const head = 74;
	const foot = 20 + caption.notes.length * 16;
	const canvas = document.createElement("canvas");
	canvas.width = chart.width;
	canvas.height = (height + head + foot) * scale;
	const pen = canvas.getContext("2d");
	if (!pen) return Promise.reject(new Error("this browser cannot draw a picture"));
	pen.scale(scale, scale);
	pen.fillStyle = theme.surface;
	pen.fillRect(0, 0, width, height + head + foot);
	const text = (words: string, x: number, y: number, colour: string, font: string) => {
		pen.fillStyle = colour;
		pen.font = `${font} ${theme.font}`;
		pen.fillText(words, x, y, width - x - 8);
	};
	text(caption.title, 16, 24, theme.ink, "600 15px");
	text(caption.subtitle, 16, 43, theme.muted, "12px");
	let x = 16;
	for (const line of caption.lines) {
		pen.fillStyle = line.colour;
		pen.fillRect(x, 58, 16, 3);
		text(line.name, x + 22, 63, theme.ink, "12px");
		x += 22 + pen.measureText(line.name).width + 18;
	}
	pen.drawImage(chart, 0, head, width, height);
	for (const [i, note] of caption.notes.entries()) text(note, 16, head + height + 16 + i * 16, theme.muted, "12px");
	return new Promise((done, fail) =>
		canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("this browser cannot make a PNG"))), "image/png"),
	);
}
