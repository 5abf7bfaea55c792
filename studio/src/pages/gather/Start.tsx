import { useEffect, useState } from "preact/hooks";
import { API, ApiError, api, data, type Resource, resource } from "../../api/client";
import type { components } from "../../api/schema";
import { Button } from "../../parts/Button";
import { Icon } from "../../parts/Icon";
import { Loaded } from "../../parts/Loaded";
import { Sentence } from "../../parts/Sentence";
import { Title } from "../../parts/Title";
import { href, navigate } from "../../router";
import { say } from "../../words";
import { DropField, usePicker } from "./DropField";
import { arrange, type Dropped } from "./files";
import { begin, pictureSet } from "./set";

type Entry = components["schemas"]["Entry"];

/** One large field to drop pictures on; below, the sets that there are. */
export function Start() {
  const [sets] = useState(() => resource(() => data(api.GET("/api/v1/datasets"))));
  const [refused, setRefused] = useState("");
  useCovers(sets);
  const { inputs, pickFiles, pickFolder } = usePicker(take);

  async function take(dropped: Dropped[]): Promise<void> {
    const { name, files } = arrange(dropped, true);
    if (files.length === 0) return setRefused(say.gather.noPictures);
    try {
      const id = await begin(name || say.gather.unnamed);
      pictureSet(id).send(files);
      navigate("gather", [id]);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setRefused(error.message);
    }
  }

  return (
    <>
      <header class="gather-title">
        <Title>{say.gather.title}</Title>
        <p class="soft">{say.gather.subtitle}</p>
      </header>
      <DropField class="drop-field" onFiles={(files) => void take(files)}>
        {(over) => (
          <>
            <Pile />
            <h2>{over ? say.gather.dropNow : say.gather.drop}</h2>
            <p class="soft">{say.gather.kinds}</p>
            <div class="drop-buttons">
              <Button primary onClick={pickFiles}>
                {say.gather.pickFiles}
              </Button>
              <Button icon="folder" onClick={pickFolder}>
                {say.gather.pickFolder}
              </Button>
            </div>
            {refused !== "" && <Sentence tone="bad">{refused}</Sentence>}
          </>
        )}
      </DropField>
      {inputs}
      <Loaded from={sets}>
        {({ datasets = [] }) => (
          <>
            <Shelf words={say.gather.yours} sets={datasets.filter((one) => !one.sample)} />
            <Shelf words={say.gather.samples} sets={datasets.filter((one) => one.sample)} />
          </>
        )}
      </Loaded>
    </>
  );
}

/** Samples are looked at once somebody asks for them; then they have covers. */
function useCovers(sets: Resource<{ [name: string]: Entry[] }>): void {
  const value = sets.value.value;
  useEffect(() => {
    const blank = value?.datasets?.filter((one) => one.sample && one.cover.length === 0) ?? [];
    if (blank.length === 0) return;
    for (const { id } of blank) {
      const asked = api.GET("/api/v1/datasets/{dataset}", { params: { path: { dataset: id } } });
      asked.catch(() => {}); // the list says so, too
    }
    const timer = setTimeout(() => void sets.refresh(), 1000);
    return () => clearTimeout(timer);
  }, [sets, value]);
}

function Shelf({ words, sets }: { words: string; sets: Entry[] }) {
  if (sets.length === 0) return null;
  return (
    <section class="shelf">
      <h2>{words}</h2>
      <ul>
        {sets.map((one) => (
          <li key={one.id}>
            <a class="set-card" href={href("gather", one.id)}>
              <Cover shas={one.cover} />
              <span class="set-name">{one.name}</span>
              {one.count > 0 && <span class="soft small">{say.gather.pictures(one.count)}</span>}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Cover({ shas }: { shas: string[] }) {
  return (
    <span class="cover">
      {shas.length === 0 && <Icon name="gather" size={40} />}
      {shas.slice(0, 4).map((sha) => (
        <img key={sha} src={`${API}/images/${sha}?size=256`} alt="" loading="lazy" />
      ))}
    </span>
  );
}

/** Three prints, one on another. */
function Pile() {
  return (
    <svg aria-hidden="true" class="pile" viewBox="0 0 160 112" width="160" height="112">
      <g fill="var(--card)" stroke="var(--edge)" stroke-width="1.5" stroke-linejoin="round">
        <rect x="22" y="26" width="62" height="62" rx="5" transform="rotate(-11 53 57)" />
        <rect x="78" y="24" width="62" height="62" rx="5" transform="rotate(9 109 55)" />
        <rect x="47" y="16" width="68" height="68" rx="5" />
        <path d="M47 68l20-21 15 15 9-9 24 23" fill="none" />
        <circle cx="96" cy="36" r="6.5" fill="var(--grape-wash)" stroke="var(--grape)" />
      </g>
    </svg>
  );
}
