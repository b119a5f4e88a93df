#!/usr/bin/env node
// A `solc` executable made of the npm compiler: `--version`, and `--standard-json` on standard input.
// The npm package's own command prints a line before its JSON, which py-solc-x and forge cannot read.
"use strict";

const fs = require("fs");
const path = require("path");
const solc = require(path.join(__dirname, "..", "..", "node_modules", "solc"));

const PACKAGES = path.join(__dirname, "..", "..", "node_modules") + path.sep;

// Sources arrive inside the JSON. Forge leaves out what a package imports from itself, so that, and nothing else, is
// read from disk.
function readPackage(name) {
  const file = path.resolve(__dirname, "..", name);
  if (!file.startsWith(PACKAGES)) {
    return { error: "not among the given sources: " + name };
  }
  try {
    return { contents: fs.readFileSync(file, "utf8") };
  } catch (error) {
    return { error: error.message };
  }
}

if (process.argv.includes("--version")) {
  process.stdout.write(
    "solc, the solidity compiler commandline interface\nVersion: " + solc.version() + "\n",
  );
} else if (process.argv.includes("--standard-json")) {
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: readPackage }) + "\n");
} else {
  process.stderr.write("only --version and --standard-json are known here\n");
  process.exit(2);
}
