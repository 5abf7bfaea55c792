import { describe, expect, it } from "vitest";
import { snippet } from "../src/pages/export/snippets";

describe("lines that use a model", () => {
  it("name its run, and the verb that it has", () => {
    expect(snippet("python", "a", "runs/a", true)).toContain('zeuxis.load("runs/a")');
    expect(snippet("rest", "7f", "jobs/7f/run", true)).toContain("/api/v1/runs/run/sample");
    expect(snippet("rest", "a", "runs/a", false)).toContain("/api/v1/runs/a/translate");
    expect(snippet("npm", "a", "runs/a", true)).toContain('from "a"');
  });
});
