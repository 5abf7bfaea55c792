/** The address that `zeuxis studio` prints holds a ticket, which opens a session once. */

import { API, ApiError, ask } from "./client";

/** The ticket of an address such as `#ticket=abc`. */
export function ticketOf(hash: string): string | undefined {
  return /^#ticket=([\w-]+)$/.exec(hash)?.[1];
}

/** Exchange the address's ticket, if it has one, and take it out of the address and the history. */
export async function enter(): Promise<void> {
  const ticket = ticketOf(location.hash);
  if (ticket === undefined) return;
  history.replaceState(null, "", location.pathname);
  try {
    await ask(`${API}/session`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ticket }),
    });
  } catch (error) {
    // a used ticket, in a browser that may have a session already: the first request tells
    if (!(error instanceof ApiError)) throw error;
  }
}
