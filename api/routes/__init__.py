"""HTTP routes: parse, authorise, call one flow, shape the answer."""
