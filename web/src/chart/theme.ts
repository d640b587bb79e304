/** The page's colours, for what is drawn on a canvas. */
export interface Theme {
	ink: string;
	muted: string;
	line: string;
	surface: string;
	band: string;
	bandEdge: string;
	act: string;
	watch: string;
	decided: string;
	hatch: string;
	series: string[];
	font: string;
}

export function readTheme(): Theme {
	const style = getComputedStyle(document.documentElement);
	const token = (name: string) => style.getPropertyValue(`--${name}`).trim();
	return {
		ink: token("ink"),
		muted: token("muted"),
		line: token("line"),
		surface: token("surface"),
		band: token("band"),
		bandEdge: token("band-edge"),
		act: token("act"),
		watch: token("watch"),
		decided: token("decided"),
		hatch: token("hatch"),
		series: [1, 2, 3, 4, 5, 6].map((n) => token(`series-${n}`)),
		font: getComputedStyle(document.body).fontFamily,
	};
}

/** Colour of the nth device of a chart. */
export const seriesColour = (theme: Theme, n: number) => theme.series[n % theme.series.length] ?? theme.ink;

const strokes: number[][] = [[], [12, 4], [12, 3, 2, 3], [12, 3, 2, 3, 2, 3], [24, 4], [5, 3]];
/** Dashes of the nth device's line, so that it is not told by colour alone; none where it is solid. */
export const seriesStroke = (n: number): number[] => strokes[n % strokes.length] ?? [];
/** Dots, whatever the device: readings that came late. */
export const lateStroke = [1.5, 3.5];

/** Slanted strokes, so that an excursion is not told by colour alone. */
export function hatching(colour: string): HTMLCanvasElement {
	const tile = document.createElement("canvas");
	const scale = Math.min(Math.max(Math.round(devicePixelRatio), 1), 3);
	tile.width = tile.height = 8 * scale;
	const pen = tile.getContext("2d");
	if (pen) {
		pen.scale(scale, scale);
		pen.strokeStyle = colour;
		pen.lineWidth = 1;
		pen.beginPath();
		for (const x of [-8, 0, 8]) {
			pen.moveTo(x, 8);
			pen.lineTo(x + 8, 0);
		}
		pen.stroke();
	}
	return tile;
}
