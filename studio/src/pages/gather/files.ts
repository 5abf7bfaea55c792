/** What a person drops or picks, as files with paths: folders become classes. */

export interface Dropped {
  /** With folders, "cats/one.png". */
  path: string;
  file: File;
}

export interface Arranged {
  /** Of the folder that held everything; "" if there was none. */
  name: string;
  files: Dropped[];
  /** Files that are no pictures by their name. */
  others: number;
}

const PICTURES = /\.(png|jpe?g|webp|gif|bmp|tiff?|avif|heic|heif|svg|jp2|ppm|pgm|tga|ico|qoi)$/i;

/** Sort out what is no picture, and take away the folder that holds everything. */
export function arrange(dropped: readonly Dropped[], strip: boolean): Arranged {
  const seen = dropped.filter(({ path }) => !path.split("/").some((part) => part.startsWith(".")));
  const files = seen.filter(
    ({ file, path }) => file.type.startsWith("image/") || PICTURES.test(path),
  );
  const tops = new Set(files.map(({ path }) => (path.includes("/") ? path.split("/")[0] : "")));
  const name = tops.size === 1 ? ([...tops][0] ?? "") : "";
  const cut = name !== "" && strip ? name.length + 1 : 0;
  return {
    name,
    files: files.map(({ path, file }) => ({ path: path.slice(cut), file })),
    others: seen.length - files.length,
  };
}

/** The files of a drop, those in folders included. To be called in the event itself. */
export async function fromDrop(transfer: DataTransfer): Promise<Dropped[]> {
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const found: Dropped[] = [];
  for (const entry of entries) {
    if (entry instanceof File) found.push({ path: entry.name, file: entry });
    else if (entry !== null) await walk(entry, "", found);
  }
  return found;
}

/** The files of an input; of a folder with their paths. */
export function fromInput(input: HTMLInputElement): Dropped[] {
  return [...(input.files ?? [])].map((file) => ({
    path: file.webkitRelativePath || file.name,
    file,
  }));
}

async function walk(entry: FileSystemEntry, above: string, found: Dropped[]): Promise<void> {
  const path = above + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => {
      (entry as FileSystemFileEntry).file(resolve, reject);
    });
    found.push({ path, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // a hundred at a time, until none is left
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (some.length === 0) return;
    for (const one of some) await walk(one, `${path}/`, found);
  }
}
