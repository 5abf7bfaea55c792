import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button } from "../parts/Button";
import { say } from "../words";
import "./board.css";
import type { Box, Layer } from "./layer";

/** RGBA of each class. */
export type Colours = readonly (readonly [number, number, number, number])[];

const SIZES = [1, 2, 4, 8, 16, 32, 64, 128];
const ZOOMS = [0.5, 1, 2, 4, 8, 16, 32];
/** Pixels of the screen that a canvas has to begin with, at most. */
const SHOWN = 512;
const SMALL = 64;

/** A canvas that a layer is painted on: mouse, pen, fingers or keys; brush and eraser, undo, zoom.
 *
 * @param below what lies under the layer, if anything.
 * @param value class that the brush puts down; the eraser puts down 0.
 * @param onStroke after every change of the layer, once a frame at most.
 */
export function Board({
  layer,
  colours,
  below,
  value,
  erases = true,
  onStroke,
}: {
  layer: Layer;
  colours: Colours;
  below?: ImageBitmap | undefined;
  value: number;
  erases?: boolean;
  onStroke: () => void;
}) {
  const { width, height } = layer;
  const canvas = useRef<HTMLCanvasElement>(null);
  const scene = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const image = useRef<ImageData | undefined>(undefined);
  const [size, setSize] = useState(() => fitting(Math.max(width, height) / 12));
  const [erasing, setErasing] = useState(false);
  const [zoom, setZoom] = useState(() => zoomOf(room() / Math.max(width, height)));
  const [cursor, setCursor] = useState<{ x: number; y: number; down: boolean }>();
  const [, setTurn] = useState(0);
  const space = useRef(false);
  const fingers = useRef(new Map<number, { x: number; y: number }>());
  const mode = useRef<"paint" | "pan" | "pinch" | undefined>(undefined);
  const dirty = useRef<Box | undefined>(undefined);
  const due = useRef(0);
  const spent = useRef(0); // milliseconds on strokes since the last frame
  const put = erasing ? 0 : value;

  useLayoutEffect(() => {
    image.current = new ImageData(width, height);
    show();
  }, [layer, colours]);
  useLayoutEffect(() => {
    const pen = scene.current?.getContext("2d");
    if (pen == null) return;
    pen.clearRect(0, 0, width, height);
    if (below !== undefined) pen.drawImage(below, 0, 0, width, height);
  }, [below, layer]);
  useEffect(() => () => cancelAnimationFrame(due.current), []);

  /** Bring a part of the canvas to what the layer has. */
  function show(box: Box = { left: 0, top: 0, right: width, bottom: height }): void {
    const pen = canvas.current?.getContext("2d");
    const data = image.current;
    if (pen == null || data === undefined || box.right <= box.left || box.bottom <= box.top) return;
    coloured(data, layer, colours, box);
    pen.putImageData(data, 0, 0, box.left, box.top, box.right - box.left, box.bottom - box.top);
  }

  /** Draw what has changed at the next frame, once. */
  function changed(box: Box): void {
    const last = dirty.current;
    dirty.current = last === undefined ? box : union(last, box);
    if (due.current !== 0) return;
    due.current = requestAnimationFrame(() => {
      due.current = 0;
      const began = performance.now();
      show(dirty.current);
      dirty.current = undefined;
      onStroke();
      performance.measure("brush", { start: began - spent.current, end: performance.now() });
      spent.current = 0;
    });
  }

  function whole(): void {
    changed({ left: 0, top: 0, right: width, bottom: height });
    setTurn((turn) => turn + 1);
  }

  function placeOf(event: PointerEvent): [number, number] {
    const box = (canvas.current as HTMLCanvasElement).getBoundingClientRect();
    return [
      ((event.clientX - box.left) * width) / box.width,
      ((event.clientY - box.top) * height) / box.height,
    ];
  }

  function down(event: PointerEvent): void {
    const fingersNow = fingers.current;
    fingersNow.set(event.pointerId, { x: event.clientX, y: event.clientY });
    canvas.current?.setPointerCapture(event.pointerId);
    if (fingersNow.size === 2) {
      if (mode.current === "paint" && layer.undo()) whole(); // the first finger meant no stroke
      mode.current = "pinch";
      return;
    }
    if (space.current || event.button === 1) {
      mode.current = "pan";
      return;
    }
    if (event.button !== 0) return;
    mode.current = "paint";
    changed(layer.begin(put, size, ...placeOf(event)));
    setTurn((turn) => turn + 1);
  }

  function move(event: PointerEvent): void {
    const before = fingers.current.get(event.pointerId);
    if (before === undefined) return;
    const now = { x: event.clientX, y: event.clientY };
    if (mode.current === "paint") {
      const began = performance.now();
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length > 0 ? events : [event])
        changed(layer.move(...placeOf(each)));
      spent.current += performance.now() - began;
    } else if (mode.current === "pan") {
      frame.current?.scrollBy(before.x - now.x, before.y - now.y);
    } else if (mode.current === "pinch") {
      const other = [...fingers.current].find(([id]) => id !== event.pointerId)?.[1];
      if (other !== undefined) {
        const grown = apart(now, other) / Math.max(1, apart(before, other));
        setZoom((old) => Math.min(32, Math.max(0.25, old * grown)));
        frame.current?.scrollBy((before.x - now.x) / 2, (before.y - now.y) / 2);
      }
    }
    fingers.current.set(event.pointerId, now);
  }

  function up(event: PointerEvent): void {
    fingers.current.delete(event.pointerId);
    if (fingers.current.size === 0) mode.current = undefined;
  }

  function undo(): void {
    if (layer.undo()) whole();
  }

  function redo(): void {
    if (layer.redo()) whole();
  }

  function larger(by: number): void {
    setSize(
      (now) => SIZES[Math.min(SIZES.length - 1, Math.max(0, SIZES.indexOf(now) + by))] ?? now,
    );
  }

  function closer(by: number): void {
    setZoom((now) => {
      const at = ZOOMS.indexOf(zoomOf(now));
      return ZOOMS[Math.min(ZOOMS.length - 1, Math.max(0, at + by))] ?? now;
    });
  }

  function key(event: KeyboardEvent): void {
    if (event.key === " ") {
      space.current = true;
      event.preventDefault();
      return;
    }
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(width, height) / 24));
    const steps: Record<string, [number, number]> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    const acts: Record<string, () => void> = {
      x: () => erases && setErasing((now) => !now),
      "[": () => larger(-1),
      "]": () => larger(1),
      "+": () => closer(1),
      "-": () => closer(-1),
      z: event.shiftKey ? redo : undo,
      y: redo,
    };
    const at = cursor ?? { x: width / 2, y: height / 2, down: false };
    const moved = steps[event.key];
    if (moved !== undefined) {
      const x = Math.min(width - 0.5, Math.max(0.5, at.x + moved[0]));
      const y = Math.min(height - 0.5, Math.max(0.5, at.y + moved[1]));
      if (at.down) changed(layer.move(x, y));
      setCursor({ ...at, x, y });
    } else if (event.key === "Enter") {
      if (!at.down) changed(layer.begin(put, size, at.x, at.y));
      setCursor({ ...at, down: !at.down });
    } else if (acts[event.key.toLowerCase()] !== undefined) {
      acts[event.key.toLowerCase()]?.();
    } else return;
    event.preventDefault();
  }

  const shown = { width: `${width * zoom}px`, height: `${height * zoom}px` };
  const sharp = Math.max(width, height) <= SMALL || zoom > 1 ? "pixels" : "";
  return (
    <div class="board">
      <div class="board-tools" role="toolbar" aria-label={say.create.tools}>
        <Button icon="brush" aria-pressed={!erasing} onClick={() => setErasing(false)}>
          {say.create.brush}
        </Button>
        {erases && (
          <Button icon="eraser" aria-pressed={erasing} onClick={() => setErasing(true)}>
            {say.create.eraser}
          </Button>
        )}
        <label class="board-size">
          {say.create.size}
          <input
            type="range"
            min={0}
            max={SIZES.length - 1}
            value={SIZES.indexOf(size)}
            aria-valuetext={say.create.pixels(size)}
            onInput={(event) => setSize(SIZES[Number(event.currentTarget.value)] ?? size)}
          />
        </label>
        <Button icon="undo" disabled={!layer.canUndo} onClick={undo}>
          {say.create.undo}
        </Button>
        <Button icon="redo" disabled={!layer.canRedo} onClick={redo}>
          {say.create.redo}
        </Button>
        <Button icon="plus" onClick={() => closer(1)}>
          {say.create.larger}
        </Button>
        <Button icon="minus" onClick={() => closer(-1)}>
          {say.create.smaller}
        </Button>
      </div>
      <div ref={frame} class="board-frame">
        <div class="board-stack" style={shown}>
          <canvas ref={scene} class={sharp} width={width} height={height} style={shown} />
          {/* biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: it takes all keys, as an editor does */}
          <canvas
            ref={canvas}
            class={sharp}
            width={width}
            height={height}
            style={shown}
            tabIndex={0}
            role="application"
            aria-label={say.create.canvas}
            onPointerDown={down}
            onPointerMove={move}
            onPointerUp={up}
            onPointerCancel={up}
            onWheel={(event) => {
              if (!event.ctrlKey) return;
              event.preventDefault();
              closer(event.deltaY < 0 ? 1 : -1);
            }}
            onKeyDown={key}
            onKeyUp={(event) => {
              if (event.key === " ") space.current = false;
            }}
            onBlur={() => {
              space.current = false;
              setCursor(undefined);
            }}
          />
          {cursor !== undefined && (
            <span
              class={cursor.down ? "board-cursor down" : "board-cursor"}
              style={{
                left: `${(cursor.x - size / 2) * zoom}px`,
                top: `${(cursor.y - size / 2) * zoom}px`,
                width: `${size * zoom}px`,
                height: `${size * zoom}px`,
              }}
            />
          )}
        </div>
      </div>
      <p class="soft small">{say.create.boardKeys}</p>
    </div>
  );
}

/** A layer as a PNG file, each class in its colour. */
export async function pngOf(layer: Layer, colours: Colours): Promise<Blob> {
  const { width, height } = layer;
  const data = new ImageData(width, height);
  coloured(data, layer, colours, { left: 0, top: 0, right: width, bottom: height });
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.putImageData(data, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** Bring a part of an image to the colours of a layer. */
function coloured(data: ImageData, layer: Layer, colours: Colours, box: Box): void {
  const words = new Uint32Array(data.data.buffer);
  const table = Uint32Array.from(
    colours,
    (colour) => new Uint32Array(Uint8Array.from(colour).buffer)[0] ?? 0,
  );
  for (let y = box.top; y < box.bottom; y += 1) {
    const end = y * layer.width + box.right;
    for (let at = y * layer.width + box.left; at < end; at += 1)
      words[at] = table[layer.pixels[at] ?? 0] ?? 0;
  }
}

function union(a: Box, b: Box): Box {
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}

function apart(a: { x: number; y: number }, b: { x: number; y: number }): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/** Pixels of the screen that a canvas may have to begin with. */
function room(): number {
  return Math.min(SHOWN, 0.7 * innerHeight, innerWidth - 60);
}

function fitting(size: number): number {
  return SIZES.find((one) => one >= size) ?? 128;
}

function zoomOf(wanted: number): number {
  return ZOOMS.filter((one) => one <= Math.max(0.5, wanted)).at(-1) ?? 1;
}
