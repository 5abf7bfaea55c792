import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { type Dropped, fromDrop, fromInput } from "./files";

/** Whether something dragged is files, and not a tile of this page. */
export function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/** An area that takes dropped files; its words change with `over`. */
export function DropField({
  class: name,
  onFiles,
  children,
}: {
  class: string;
  onFiles: (files: Dropped[]) => void;
  children: (over: boolean) => ComponentChildren;
}) {
  const [over, setOver] = useState(0); // entered parts of it less those that were left
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the buttons in it do the same by keyboard
    <div
      class={over > 0 ? `${name} over` : name}
      onDragEnter={(event) => hasFiles(event) && setOver((now) => now + 1)}
      onDragLeave={(event) => hasFiles(event) && setOver((now) => now - 1)}
      onDragOver={(event) => hasFiles(event) && event.preventDefault()}
      onDrop={(event) => {
        if (!hasFiles(event) || event.dataTransfer === null) return;
        event.preventDefault();
        setOver(0);
        void fromDrop(event.dataTransfer).then(onFiles);
      }}
    >
      {children(over > 0)}
    </div>
  );
}

const FOLDERS = { webkitdirectory: true }; // every browser has it, no type does

/** Opens the system's window for files, or for a folder. */
export function usePicker(onFiles: (files: Dropped[]) => void) {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  function taken(event: { currentTarget: HTMLInputElement }): void {
    onFiles(fromInput(event.currentTarget));
    event.currentTarget.value = ""; // so that the same choice counts again
  }
  const inputs = (
    <>
      <input ref={files} type="file" multiple accept="image/*" hidden onChange={taken} />
      <input ref={folder} type="file" {...FOLDERS} hidden onChange={taken} />
    </>
  );
  return {
    inputs,
    pickFiles: () => files.current?.click(),
    pickFolder: () => folder.current?.click(),
  };
}
