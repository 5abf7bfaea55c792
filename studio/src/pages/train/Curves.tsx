import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "../../frame/theme";
import { say } from "../../words";
import { curve, type Row, totals } from "./run";

const HEIGHT = 180;

/** Curves by step, with the cursor that the film has, too. */
export function Curves({
  rows,
  marks,
  at,
  onAt,
}: {
  rows: readonly Row[];
  /** Steps at which something went wrong. */
  marks: readonly number[];
  at: number | undefined;
  onAt: (step: number) => void;
}) {
  const groups = [["kernel_distance"], totals(rows)].filter((names) =>
    names.some((name) => curve(rows, name)[0].length > 1),
  );
  return (
    <div class="curves">
      {groups.map((names) => (
        <Chart key={names.join()} names={names} rows={rows} marks={marks} at={at} onAt={onAt} />
      ))}
    </div>
  );
}

function Chart({
  names,
  rows,
  marks,
  at,
  onAt,
}: {
  names: string[];
  rows: readonly Row[];
  marks: readonly number[];
  at: number | undefined;
  onAt: (step: number) => void;
}) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const told = useRef(onAt);
  told.current = onAt;
  const marked = useRef(marks);
  marked.current = marks;
  const title =
    say.train.curveNames[
      names.length === 1 && names[0] === "kernel_distance" ? "kernel_distance" : "losses"
    ];

  useEffect(() => {
    const box = place.current;
    if (box === null) return;
    const [ink, line] = [colour(box, "--soft"), colour(box, "--line")];
    const rust = colour(box, "--rust");
    const strokes = [colour(box, "--grape"), colour(box, "--leaf")];
    const axis = {
      stroke: ink,
      grid: { stroke: line, width: 1 },
      ticks: { show: false },
      font: "12px system-ui",
    };
    const made = new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 8 } },
        scales: { x: { time: false } },
        axes: [axis, { ...axis, size: 56, values: (_, ticks) => ticks.map(label) }],
        series: [
          {},
          ...names.map((_, i) => ({
            stroke: strokes[i % 2] ?? ink,
            width: 2,
            spanGaps: true,
            points: { show: names[0] === "kernel_distance", size: 7 },
          })),
        ],
        hooks: {
          draw: [(self) => dash(self, marked.current, rust)],
          setCursor: [
            (self) => {
              const event = self.cursor.event;
              if (event == null || self.cursor.left == null || self.cursor.left < 0) return;
              told.current(self.posToVal(self.cursor.left, "x"));
            },
          ],
        },
      },
      aligned(rows, names),
      box,
    );
    plot.current = made;
    const resized = new ResizeObserver(() =>
      made.setSize({ width: box.clientWidth, height: HEIGHT }),
    );
    resized.observe(box);
    return () => {
      resized.disconnect();
      made.destroy();
    };
  }, [names.join(), theme.value]);

  useEffect(() => plot.current?.setData(aligned(rows, names)), [rows, marks.length]);
  useEffect(() => {
    const made = plot.current;
    if (made === undefined || at === undefined) return;
    made.setCursor({ left: made.valToPos(at, "x"), top: 0 }, false);
  }, [at, rows]);

  return (
    <figure>
      <figcaption class="small soft">
        {title}
        {names.length > 1 &&
          names.map((name, i) => (
            <span key={name} class={`key key-${i % 2}`}>
              {say.train.curveNames[name] ?? name}
            </span>
          ))}
      </figcaption>
      <div ref={place} class="chart" role="img" aria-label={described(rows, names, title ?? "")} />
    </figure>
  );
}

/** Dashed lines from top to bottom at these steps. */
function dash(plot: uPlot, steps: readonly number[], stroke: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const step of new Set(steps)) {
    const x = plot.valToPos(step, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** A tick of the left axis, which holds seven characters: 80,000, but 1e16. */
function label(value: number): string {
  return Math.abs(value) < 1e5
    ? value.toLocaleString("en", { maximumSignificantDigits: 5 })
    : value.toExponential().replace("e+", "e");
}

/** A colour of the page as a canvas takes it. */
function colour(box: HTMLElement, name: string): string {
  const probe = box.appendChild(document.createElement("i"));
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** Columns for the chart: the steps, and each curve's values at them. */
function aligned(rows: readonly Row[], names: string[]): uPlot.AlignedData {
  const found = rows.filter((row) => names.some((name) => typeof row[name] === "number"));
  return [
    found.map((row) => row.step),
    ...names.map((name) => found.map((row) => row[name] ?? null)),
  ] as uPlot.AlignedData;
}

/** The chart for those who do not see it: where each curve begins and ends. */
function described(rows: readonly Row[], names: string[], title: string): string {
  const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
  const ends = names.map((name) => {
    const [, values] = curve(rows, name);
    const words = say.train.curveNames[name] ?? name;
    return values.length > 0
      ? `${words}: ${short.format(values[0] ?? 0)} → ${short.format(values.at(-1) ?? 0)}`
      : words;
  });
  return `${title}. ${ends.join("; ")}`;
}
