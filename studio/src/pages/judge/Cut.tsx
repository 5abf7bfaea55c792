import { useEffect, useRef } from "preact/hooks";

/** One picture of a sheet. */
export function Cut({
  sheet,
  at,
  columns,
  size,
  alt,
}: {
  sheet: ImageBitmap;
  at: number;
  columns: number;
  size: readonly [number, number];
  alt: string;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [height, width] = size;
  useEffect(() => {
    const [x, y] = [(at % columns) * width, Math.floor(at / columns) * height];
    canvas.current?.getContext("2d")?.drawImage(sheet, x, y, width, height, 0, 0, width, height);
  }, [sheet, at]);
  return (
    <canvas
      ref={canvas}
      class={Math.max(...size) <= 64 ? "cut pixels" : "cut"}
      width={width}
      height={height}
      role="img"
      aria-label={alt}
    />
  );
}
