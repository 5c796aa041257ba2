/**
 * As `JSON.parse`, but an object that names a member twice is a `SyntaxError`: which of the two counts would be
 * up to each reader.
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  refuseTwins(text);
  return value;
}

const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

/** `text` is known to be JSON: a string right after `{` or after a comma within braces is a member's name. */
function refuseTwins(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  let nameNext = false;
  for (const { 0: found, index } of text.matchAll(token)) {
    if (found === "{" || found === "[") open.push(found === "{" ? new Set() : undefined);
    if (found === "}" || found === "]") open.pop();
    const names = open.at(-1);
    if (nameNext && names !== undefined && found.startsWith('"')) {
      const name: string = JSON.parse(found);
      if (names.has(name)) throw new SyntaxError(`the member '${name}' is there twice, at position ${index}`);
      names.add(name);
    }
    nameNext = found === "{" || (found === "," && names !== undefined);
  }
}
