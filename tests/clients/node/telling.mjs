// How a client program tells what it saw: one JSON object, a call a member, as telling.py has it.

export const [URL_, KEY, EMPTY_KEY] = process.argv.slice(2, 5);
export const MODELS = JSON.parse(process.argv[5]);
export const UNKNOWN_KEY = "ak-" + "x".repeat(48);
export const QUESTION = "Say hello to a friend.";
export const TOOL_QUESTION = "How is the weather? [demo tool]";
export const BREAK = "[demo error_event=8 chunk_delay_ms=5]";
export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const WEATHER = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};

/** Make every call and print what came of it. */
export async function tell(calls) {
  const seen = {};
  for (const [name, call] of Object.entries(calls)) {
    seen[name] = await outcome(call);
  }
  process.stdout.write(JSON.stringify(seen));
}

async function outcome(call) {
  try {
    return { said: await call() };
  } catch (error) {
    const status = error.status ?? error.statusCode ?? error.lastError?.statusCode ?? null;
    const words = String(error.message).slice(0, 300);
    return { raised: error.constructor.name, status: Number.isInteger(status) ? status : null, words };
  }
}
