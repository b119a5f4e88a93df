#!/usr/bin/env node
// A `solc` executable made of the npm compiler: `--version`, and `--standard-json` on standard input.
// The npm package's own command prints a line before its JSON, which py-solc-x and forge cannot read.
"use strict";

const fs = require("fs");
const path = require("path");
const solc = require(path.join(__dirname, "..", "..", "node_modules", "solc"));

if (process.argv.includes("--version")) {
  process.stdout.write(
    "solc, the solidity compiler commandline interface\nVersion: " + solc.version() + "\n",
  );
} else if (process.argv.includes("--standard-json")) {
  // Sources arrive inside the JSON; nothing is read from disk, so an import that is not there is an error.
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8")) + "\n");
} else {
  process.stderr.write("only --version and --standard-json are known here\n");
  process.exit(2);
}
