/** A set of pictures as the page knows it: what the server has, what is on its way there, what is chosen. */

import { computed, signal } from "@preact/signals";
import { API, ApiError, api, ask, data } from "../../api/client";
import type { components } from "../../api/schema";
import { announce } from "../../parts/announce";
import { say } from "../../words";
import type { Dropped } from "./files";
import type { Section } from "./layout";

export type Facts = components["schemas"]["DatasetFacts"];
export type Item = components["schemas"]["ItemFacts"];
export type Finding = components["schemas"]["Finding"];

export type Change =
  | { items: string[]; label: string | null }
  | { items: string[]; caption: string }
  | { items: string[]; excluded: boolean }
  | { rename: string; to: string }
  | { fix: string }
  | { undo: true };

const AT_A_TIME = 4; // a browser keeps six connections, one is for events
const PAGE = 1000;
const SOON = 600;
const LATER = 3000;

export const CLASS = "class:";
export const UNLABELLED = "unlabelled";
export const UNREADABLE = "unreadable";
export const EXCLUDED = "excluded";

/** Items in the order in which they are shown: by class, then what could not be read, then what is left out. */
export function sectioned(items: readonly Item[]): Section<Item>[] {
  const classes = new Map<string, Item[]>();
  const [unlabelled, unreadable, excluded]: [Item[], Item[], Item[]] = [[], [], []];
  for (const item of items) {
    if (item.excluded) excluded.push(item);
    else if (item.problem !== null) unreadable.push(item);
    else if (item.label === null) unlabelled.push(item);
    else classes.set(item.label, [...(classes.get(item.label) ?? []), item]);
  }
  return [
    { key: UNLABELLED, items: unlabelled },
    ...[...classes].map(([name, members]) => ({ key: CLASS + name, items: members })),
    { key: UNREADABLE, items: unreadable },
    { key: EXCLUDED, items: excluded },
  ].filter((section) => section.items.length > 0);
}

export class PictureSet {
  readonly facts = signal<Facts | undefined>();
  readonly items = signal<readonly Item[]>([]);
  /** What could not be loaded at all. */
  readonly missing = signal<ApiError | undefined>();
  /** Why the last change was not made. */
  readonly refused = signal("");
  readonly sending = signal({ done: 0, total: 0 });
  readonly chosen = signal<ReadonlySet<string>>(new Set());
  /** Id of the finding whose pictures alone are shown. */
  readonly shown = signal<string | undefined>();
  /** The class whose name is being written. */
  readonly renaming = signal<string | undefined>();

  readonly finding = computed(() =>
    this.facts.value?.findings.find((one) => one.id === this.shown.value),
  );
  readonly sections = computed<Section<Item>[]>(() => {
    const finding = this.finding.value;
    if (finding === undefined) return sectioned(this.items.value);
    const named = new Set(finding.items);
    return [{ key: "shown", items: this.items.value.filter((item) => named.has(item.id)) }];
  });
  readonly classes = computed(() => [
    ...new Set(this.items.value.flatMap((item) => (item.label === null ? [] : [item.label]))),
  ]);
  readonly picked = computed(() =>
    this.items.value.filter((item) => this.chosen.value.has(item.id)),
  );
  readonly busy = computed(() => this.sending.value.done < this.sending.value.total);

  private queue: Dropped[] = [];
  private running = 0;
  private revision = 0;
  private changes: Promise<unknown> = Promise.resolve();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly id: string) {
    void this.load();
  }

  private get path() {
    return { path: { dataset: this.id } };
  }

  async load(): Promise<void> {
    try {
      await Promise.all([this.refresh(), this.loadItems()]);
      this.missing.value = undefined;
    } catch (error) {
      this.missing.value = apiError(error);
    }
  }

  private async loadItems(): Promise<void> {
    const found: Item[] = [];
    for (let cursor: string | null = "0"; cursor !== null; ) {
      const query = { cursor: Number(cursor), limit: PAGE };
      const page: components["schemas"]["Items"] = await data(
        api.GET("/api/v1/datasets/{dataset}/items", { params: { ...this.path, query } }),
      );
      found.push(...page.items);
      cursor = page.next;
    }
    this.items.value = found;
  }

  /** Ask for the facts; and again, as long as there is something that the server has not looked at. */
  private async refresh(pause = SOON): Promise<void> {
    clearTimeout(this.timer);
    this.take(await data(api.GET("/api/v1/datasets/{dataset}", { params: this.path })));
    const facts = this.facts.value;
    if (!this.busy.value && facts?.pending === 0) return;
    if (facts?.sample && this.items.value.length === 0) await this.loadItems();
    this.timer = setTimeout(() => {
      this.refresh(Math.min(1.5 * pause, LATER)).catch(() => this.settle(LATER));
    }, pause);
  }

  private settle(pause: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh().catch(() => this.settle(LATER)), pause);
  }

  private take(facts: Facts): void {
    if (facts.revision < this.revision) return; // overtaken
    const before = this.facts.value;
    this.facts.value = facts;
    this.revision = facts.revision;
    const news = facts.findings.length - (before?.findings.length ?? facts.findings.length);
    if (news > 0) announce(say.gather.found(facts.findings.length));
  }

  /** Send files, a few at a time; several calls share the turns. */
  send(files: readonly Dropped[]): void {
    const { done, total } = this.busy.value ? this.sending.value : { done: 0, total: 0 };
    this.sending.value = { done, total: total + files.length };
    this.queue.push(...files);
    while (this.running < Math.min(AT_A_TIME, this.queue.length + this.running)) {
      this.running += 1;
      void this.work();
    }
    this.settle(SOON);
  }

  private async work(): Promise<void> {
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
      try {
        this.received(await this.sent(next));
      } catch (error) {
        const told = apiError(error);
        if (told.status !== 422) this.refused.value = told.message; // 422 is a finding of the set
        if ([0, 401, 404, 507].includes(told.status)) this.queue = []; // the others would fare the same
      }
      const { done, total } = this.sending.value;
      this.sending.value = { done: done + 1, total };
    }
    this.running -= 1;
    if (this.running > 0) return;
    this.sending.value = { done: this.sending.value.total, total: this.sending.value.total };
    announce(say.gather.arrived(this.sending.value.total));
    await this.load(); // with what could not be read
  }

  private async sent({ path, file }: Dropped): Promise<components["schemas"]["Added"]> {
    const answer = await ask(`${API}/datasets/${encodeURIComponent(this.id)}/files`, {
      method: "POST",
      headers: {
        "Content-Type": "application/octet-stream",
        "Zeuxis-File-Name": encodeURIComponent(path),
      },
      body: file,
    });
    return answer.json();
  }

  private received({ item, revision }: components["schemas"]["Added"]): void {
    this.revision = Math.max(this.revision, revision);
    if (this.items.value.some((one) => one.id === item.id)) return;
    this.items.value = [...this.items.value, item];
  }

  /** Make a change, after those that were asked for before. */
  change(change: Change): Promise<void> {
    const made = this.changes.then(() => this.patch(change, this.busy.value ? 3 : 0));
    this.changes = made;
    return made;
  }

  private async patch(change: Change, again: number): Promise<void> {
    this.refused.value = "";
    try {
      const changed = await data(
        api.PATCH("/api/v1/datasets/{dataset}/items", {
          params: { ...this.path, header: { "if-match": `"${this.revision}"` } },
          body: change,
        }),
      );
      const news = new Map(changed.items.map((item) => [item.id, item]));
      this.items.value = this.items.value.map((item) => news.get(item.id) ?? item);
      this.take(changed.dataset);
      if (changed.dataset.pending > 0) this.settle(SOON);
    } catch (error) {
      const told = apiError(error);
      if (told.status === 409 && again > 0) return this.patch(change, again - 1); // a picture arrived
      await this.load();
      this.refused.value = told.status === 409 ? say.gather.changedElsewhere : told.message;
    }
  }

  label(items: string[], label: string | null): Promise<void> {
    announce(say.gather.moved(items.length, label));
    return this.change({ items, label });
  }

  exclude(items: readonly Item[]): Promise<void> {
    const excluded = items.some((item) => !item.excluded);
    announce(say.gather.excluded(items.length, excluded));
    return this.change({ items: items.map((item) => item.id), excluded });
  }

  /** Put pictures into a class of their own, whose name is asked for next. */
  async newClass(items: string[]): Promise<void> {
    let name = say.gather.newClass;
    for (let n = 2; this.classes.value.includes(name); n += 1) name = `${say.gather.newClass} ${n}`;
    await this.label(items, name);
    this.renaming.value = name;
  }

  async undo(): Promise<void> {
    const words = this.facts.value?.undo;
    if (!words) return;
    await this.change({ undo: true });
    announce(say.gather.undone(words));
  }

  async fixAll(): Promise<void> {
    for (const finding of this.facts.value?.findings ?? []) {
      if (finding.fix !== null && !finding.fixed) await this.change({ fix: finding.id });
    }
  }
}

function apiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  throw error;
}

const open = new Map<string, PictureSet>();

/** The set of that id, with what is still on its way to it. */
export function pictureSet(id: string): PictureSet {
  const found = open.get(id) ?? new PictureSet(id);
  open.set(id, found);
  return found;
}

/** Forget it, as it was deleted. */
export function forget(id: string): void {
  open.delete(id);
}

/** Begin a set, and say its id. */
export async function begin(name: string): Promise<string> {
  const made = await data(api.POST("/api/v1/datasets", { body: { name } }));
  return made.id;
}
