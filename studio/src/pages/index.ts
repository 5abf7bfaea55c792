/** The pages that there are, in the order of the rail. A page that cannot be used is not listed. */

import type { ComponentType } from "preact";
import type { IconName } from "../parts/Icon";
import { say } from "../words";
import { Create } from "./create";
import { Export } from "./export";
import { Gather } from "./gather";
import { Judge } from "./judge";
import { Train } from "./train";
import { Verify } from "./verify";

export interface Page {
  /** In the address. */
  name: string;
  /** In the rail and the title. */
  words: string;
  icon: IconName;
  page: ComponentType<{ rest: string[] }>;
}

export const pages: [Page, ...Page[]] = [
  { name: "gather", words: say.gather.step, icon: "gather", page: Gather },
  { name: "train", words: say.train.step, icon: "train", page: Train },
  { name: "create", words: say.create.step, icon: "create", page: Create },
  { name: "judge", words: say.judge.step, icon: "judge", page: Judge },
  { name: "export", words: say.exporting.step, icon: "download", page: Export },
  { name: "verify", words: say.verify.step, icon: "verify", page: Verify },
];
