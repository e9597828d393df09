// Holds the recorded digest against caniemail's whole table. Run by hand, where npm is at hand:
//
//     npm install --prefix /tmp/lint caniemail@2 && NODE_PATH=/tmp/lint/node_modules node tests/digest/client_lint.mjs
//
// Nothing here is a test: CI has the small table in test_clients.py and needs no npm.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Errors that are meant: without them the mail is plainer, and still whole.
const allowed = {
  "@media": "dark and narrow only; colours and widths stand without it",
  "<style> element": "holds nothing but @media",
  "color-scheme meta tag": "a hint; the colours for light are in the tags",
  "overflow-wrap": "words of more than 60 characters are broken in the text itself",
  "overflow": "what the lint makes of overflow-wrap; the property is not used",
  "white-space": "keeps numbers on one line; without it they wrap",
};
const require = createRequire(process.env.NODE_PATH + "/x.js");
const { caniemail } = await import(pathToFileURL(require.resolve("caniemail")));
const clients = ["gmail.*", "outlook.windows", "apple-mail.*"];
const html = readFileSync(new URL("golden/digest.html", import.meta.url), "utf8");
const result = caniemail({ clients, html });
for (const kind of ["errors", "warnings"]) {
  const found = new Map();
  for (const [client, issues] of result.issues[kind]) {
    for (const issue of issues) {
      found.set(issue.title, [...(found.get(issue.title) ?? []), client]);
    }
  }
  const meant = kind === "errors" ? allowed : {};
  const open = [...found].filter(([title]) => !(title in meant));
  console.log(`${kind}: ${found.size}, ${found.size - open.length} of them meant`);
  for (const [title, where] of open) console.log(`  ${title}: ${[...new Set(where)].join(", ")}`);
  if (kind === "errors" && open.length) process.exitCode = 1;
}
