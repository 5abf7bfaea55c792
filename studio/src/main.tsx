import { render } from "preact";
import "./style/tokens.css";
import "./style/base.css";
import { follow as followEvents } from "./api/events";
import { enter } from "./api/session";
import { Frame } from "./frame/Frame";
import { follow as followJobs } from "./jobs/jobs";
import { follow, place, read } from "./router";

await enter();
follow();
place.value = read(location.hash);
const root = document.getElementById("studio");
if (root !== null) render(<Frame />, root);
followEvents();
followJobs();
