// The npm compiler kept warm: one standard-JSON request a line on standard input, one answer a line on standard output.
// Used by scripts/mutation_contracts.py; argv[2] is the folder in which node_modules stands. A line {"stash": {name: text}}
// is answered by {} and keeps sources for imports, so that a request names only what is to be compiled.
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");

const root = process.argv[2];
const packages = path.join(root, "node_modules") + path.sep;
const solc = require(path.join(packages, "solc"));

let stash = {};

function readSource(name) {
  if (stash[name] !== undefined) {
    return { contents: stash[name] };
  }
  const file = path.resolve(root, "contracts", name);
  if (!file.startsWith(packages)) {
    return { error: "not among the given sources: " + name };
  }
  return { contents: fs.readFileSync(file, "utf8") };
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line);
  if (request.stash !== undefined) {
    stash = request.stash;
    process.stdout.write("{}\n");
  } else {
    process.stdout.write(solc.compile(line, { import: readSource }) + "\n");
  }
});
