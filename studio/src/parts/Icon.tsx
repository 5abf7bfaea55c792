/** Line icons on a grid of 24, drawn for this page; the words beside them say what they mean. */

const shapes = {
  gather: "M4 7.5h7v7H4zM13.5 4.5h6.5v6.5h-6.5zM13.5 14h6.5v5.5h-6.5zM4 17.5h7v2H4z",
  train: "M4 19V5M4 19h16M7.5 15c3-6.5 5-8 12-8.5",
  create:
    "M12 4v4M12 16v4M4 12h4M16 12h4M6.5 6.5l2.8 2.8M14.7 14.7l2.8 2.8M17.5 6.5l-2.8 2.8M9.3 14.7l-2.8 2.8",
  samples: "M4 4h6.5v6.5H4zM13.5 4H20v6.5h-6.5zM4 13.5h6.5V20H4zM13.5 13.5H20V20h-6.5z",
  judge: "M5 19.5v-6M12 19.5v-15M19 19.5v-9.5",
  verify: "M12 3.5l7.5 3v5c0 4.5-3 7.5-7.5 9-4.5-1.5-7.5-4.5-7.5-9v-5zM8.5 12l2.5 2.5 4.5-5",
  jobs: "M4 7h16M4 12h10M4 17h13",
  light:
    "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
  dark: "M19.5 14.2A8 8 0 0 1 9.8 4.5a8 8 0 1 0 9.7 9.7z",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  back: "M14.5 5.5L8 12l6.5 6.5",
  next: "M5 12h14M13 6l6 6-6 6",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  folder: "M3.5 6.5h6l2 2.5h9v10h-17z",
  pencil: "M4.5 19.5l1-4.5L16 4.5l3.5 3.5L9 18.5zM13.5 7l3.5 3.5",
  undo: "M8.5 5L4 9.5 8.5 14M4 9.5h10a5.5 5.5 0 0 1 0 11h-3",
  hide: "M5.5 5.5l13 13M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  stop: "M6.5 6.5h11v11h-11z",
  dice: "M5 5h14v14H5zM9 9v.01M15 9v.01M12 12v.01M9 15v.01M15 15v.01",
  download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 19.5h14",
  play: "M8 5.5v13l10.5-6.5z",
  star: "M12 4l2.5 5.2 5.7.8-4.1 4 1 5.7-5.1-2.7-5.1 2.7 1-5.7-4.1-4 5.7-.8z",
  brush: "M4.5 19.5c2.5 0 4-1 4-3.2a2.2 2.2 0 0 1 3.7-1.6L20 6.5 17.5 4l-8.3 7.8",
  eraser: "M9 19.5h11M4.5 14.5l9-9 6 6-8 8H9z",
  redo: "M15.5 5l4.5 4.5-4.5 4.5M20 9.5H10a5.5 5.5 0 0 0 0 11h3",
} as const;

export type IconName = keyof typeof shapes;

export function Icon({ name, size = 24 }: { name: IconName; size?: number }) {
  return (
    <svg
      aria-hidden="true"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      <path d={shapes[name]} />
    </svg>
  );
}
