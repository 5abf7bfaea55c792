import { JobsPill } from "../jobs/Drawer";
import { pages } from "../pages";
import { Icon } from "../parts/Icon";
import { href, place } from "../router";
import { say } from "../words";
import { nextTheme, theme } from "./theme";
import "./rail.css";

export function Rail() {
  const now = place.value.page;
  return (
    <nav class="rail" aria-label={say.frame.steps}>
      <a class="mark" href={href(pages[0].name)} aria-label="Zeuxis">
        <img src="./mark.svg" alt="" width={36} height={36} />
      </a>
      <ul>
        {pages.map((page) => (
          <li key={page.name}>
            <a
              class="step"
              href={href(page.name)}
              aria-current={page.name === now ? "page" : undefined}
            >
              <Icon name={page.icon} />
              {page.words}
            </a>
          </li>
        ))}
        <li>
          <JobsPill />
        </li>
      </ul>
      <button
        type="button"
        class="step theme"
        onClick={nextTheme}
        title={say.frame.theme[theme.value]}
        aria-label={say.frame.themeNow(say.frame.theme[theme.value])}
      >
        <Icon name={theme.value} />
      </button>
    </nav>
  );
}
