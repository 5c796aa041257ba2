/** What SQLite takes and, in the order of a query's columns, gives. */
export type Value = string | number | null | Uint8Array;
// biome-ignore lint/suspicious/noExplicitAny: the query says what each column is
export type Columns = any[];

/** What a column holds; with "?" it may be null. "json" is kept as text. "prose" is text that may hold a NUL. */
export type Kind = Base | `${Base}?`;
type Base = keyof typeof types;

const types = {
  text: "TEXT",
  prose: "TEXT",
  integer: "INTEGER",
  boolean: "INTEGER",
  json: "TEXT",
  blob: "BLOB",
} as const;

interface Definition<Row> {
  readonly columns: Readonly<Record<keyof Row & string, Kind>>;
  readonly primary: readonly (keyof Row & string)[];
  /** Further constraints, as SQL. */
  readonly constraints?: readonly string[];
}

/**
 * One table of the database: its columns, in snake case, are the members of its rows. A table with a column
 * `revision` counts the changes of each row, and a change names the revision that it has seen.
 */
export class Table<Row extends object = Record<string, unknown>> {
  readonly name: string;
  readonly primary: readonly string[];
  readonly versioned: boolean;
  /** In the order that queries name them in. */
  readonly members: readonly string[];
  /** As they are read: bindings may end a text at its first NUL. */
  readonly columns: string;
  readonly create: string;
  readonly insert: string;
  readonly put: string;
  readonly remove: string;
  readonly one: string;
  readonly #kinds: readonly { readonly member: string; readonly base: Base; readonly nullable: boolean }[];
  readonly #updates = new Map<string, string>();

  constructor(name: string, { columns, primary, constraints = [] }: Definition<Row>) {
    this.name = name;
    this.primary = primary;
    this.#kinds = Object.entries<Kind>(columns).map(([member, kind]) => ({
      member,
      base: kind.replace("?", "") as Base,
      nullable: kind.endsWith("?"),
    }));
    this.members = Object.keys(columns);
    this.versioned = this.members.includes("revision");
    this.columns = this.#kinds
      .map(({ member, base }) => (base === "prose" ? `CAST(${columnOf(member)} AS BLOB)` : columnOf(member)))
      .join(", ");
    const typed = this.#kinds.map(
      ({ member, base, nullable }) => `${columnOf(member)} ${types[base]}${nullable ? "" : " NOT NULL"}`,
    );
    const parts = [...typed, `PRIMARY KEY (${primary.map(columnOf).join(", ")})`, ...constraints];
    this.create = `CREATE TABLE ${name} (\n  ${parts.join(",\n  ")}\n) STRICT, WITHOUT ROWID;\n`;
    const values = `INTO ${name} (${this.members.map(columnOf).join(", ")}) VALUES (${this.members.map(() => "?").join(", ")})`;
    this.insert = `INSERT ${values}`;
    this.put = `INSERT OR REPLACE ${values}`;
    this.remove = `DELETE FROM ${name} WHERE ${this.#exactly}`;
    this.one = this.select(primary.map((member) => `${columnOf(member)} = ?`).join(" AND "));
  }

  /** A query for whole rows. */
  select(rest: string): string {
    return `SELECT ${this.columns} FROM ${this.name} WHERE ${rest}`;
  }

  /** Sets these members of one row; binds them, then the primary key and, where rows have one, the revision. */
  update(members: readonly string[]): string {
    const names = members.join();
    let query = this.#updates.get(names);
    if (query === undefined) {
      const set = members.map((member) => {
        if (!this.members.includes(member)) throw new TypeError(`${this.name} have no member ${member}`);
        return `${columnOf(member)} = ?`;
      });
      if (this.versioned) set.push("revision = revision + 1");
      query = `UPDATE ${this.name} SET ${set.join(", ")} WHERE ${this.#exactly}`;
      this.#updates.set(names, query);
    }
    return query;
  }

  /** The members of a row as SQLite takes them; those that are missing are null. */
  values(row: object): Value[] {
    return this.members.map((member) => encode((row as Record<string, unknown>)[member]));
  }

  /** A row as it is handed out: frozen, with all that it holds. */
  row(columns: Columns): Row {
    const row: Record<string, unknown> = {};
    this.#kinds.forEach(({ member, base }, index) => {
      row[member] = decode(base, columns[index]);
    });
    return Object.freeze(row) as Row;
  }

  get #exactly(): string {
    const members = this.versioned ? [...this.primary, "revision"] : this.primary;
    return members.map((member) => `${columnOf(member)} = ?`).join(" AND ");
  }
}

const columnOf = (member: string) => member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export function encode(value: unknown): Value {
  if (value === undefined || value === null) return null;
  if (typeof value === "boolean") return Number(value);
  if (typeof value === "object" && !(value instanceof Uint8Array)) return JSON.stringify(value);
  return value as Value;
}

function decode(base: Base, column: Columns[number]): unknown {
  if (column === null) return null;
  if (base === "boolean") return column === 1;
  // Whichever binding it is: libsql gives Buffers.
  if (base === "blob") return new Uint8Array(column);
  if (base === "prose") return Buffer.from(column).toString();
  return base === "json" ? JSON.parse(column, (_, value) => Object.freeze(value)) : column;
}
