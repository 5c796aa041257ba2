import { CliError, EXIT } from "./exit.ts";

/** Reads a secret from the terminal, showing nothing of it; `option` gives it where there is no terminal. */
export function readSecret(
  question: string,
  { what = "PIN", option = "--pin-file" }: { what?: string; option?: string } = {},
): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || stdin.setRawMode === undefined)
    throw new CliError(`the ${what} is needed, and there is no terminal to ask for it`, {
      exit: EXIT.usage,
      hint: `give ${option}`,
    });
  return new Promise((resolve, reject) => {
    let secret = "";
    const end = () => {
      stdin.off("data", take);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write("\n");
    };
    const take = (data: Buffer) => {
      for (const character of data.toString("utf8")) {
        if (character === "\r" || character === "\n" || character === "\x04") {
          end();
          return resolve(secret);
        }
        if (character === "\x03") {
          end();
          return reject(new CliError("interrupted", { exit: EXIT.interrupted }));
        }
        if (character === "\x7f" || character === "\b") secret = secret.slice(0, -1);
        else if (character >= " ") secret += character;
      }
    };
    // Asked for only once the terminal has stopped to show what is typed.
    stdin.setRawMode(true);
    stderr.write(question);
    stdin.resume();
    stdin.on("data", take);
  });
}
