/** Lines that use a model or what was written of it. */

export type Kind = "page" | "npm" | "onnx" | "sheet" | "folder" | "python" | "rest";

/** What is written for a kind, in the words of a shell or a language.
 *
 * @param run name of the run.
 * @param place its folder, from where the studio was opened.
 * @param draws whether it draws from a seed.
 */
export function snippet(kind: Kind, run: string, place: string, draws: boolean): string {
  const name = place.split("/").at(-1) ?? run;
  switch (kind) {
    case "page":
      return `${run}-page.html  # open it from a disk or put it on any web server`;
    case "npm":
      return [
        `npm install ./${run}-npm`,
        "",
        `import { generate } from "${run}";`,
        "const pictures = await generate({ seed: 7, count: 4 });",
      ].join("\n");
    case "onnx":
      return [
        "import json, onnxruntime",
        'graphs = json.load(open("meta.json"))["graphs"]',
        'sessions = {name: onnxruntime.InferenceSession(one["file"]) for name, one in graphs.items()}',
      ].join("\n");
    case "sheet":
      return `zeuxis export ${place} --to sheet --out sheet.png`;
    case "folder":
      return draws
        ? `zeuxis sample ${run}-folder --count 64 --seed 7 --grid sheet.png`
        : `zeuxis translate ${run}-folder pictures/ --out made`;
    case "python":
      return draws
        ? [
            "import zeuxis",
            "",
            `model = zeuxis.load("${place}")`,
            'model.sample(16, seed=7).write("new")',
          ].join("\n")
        : `zeuxis translate ${place} pictures/ --out made`;
    case "rest":
      return [
        `zeuxis serve ${place}    # prints TOKEN`,
        "",
        `curl http://127.0.0.1:8000/api/v1/runs/${name}/${draws ? "sample" : "translate"} \\`,
        `     -H "Authorization: Bearer $TOKEN" -H 'Accept: ${draws ? "application/zip" : "image/png"}' \\`,
        ...(draws
          ? [`     -H 'Content-Type: application/json' -d '{"count": 16, "seed": 7}' -o new.zip`]
          : [
              `     -H 'Content-Type: application/octet-stream' --data-binary @one.png -o made.png`,
            ]),
      ].join("\n");
  }
}
