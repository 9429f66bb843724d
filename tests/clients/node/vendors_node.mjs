// What programs do with Anthropic's and Google's libraries for Node:
// `node vendors_node.mjs URL KEY EMPTY_KEY MODELS`.

import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import {
  BREAK, EMPTY_KEY, KEY, MODELS, QUESTION, TOOL_QUESTION, UNKNOWN_KEY, URL_, WEATHER, tell,
} from "./telling.mjs";

const claude = (key = KEY) => new Anthropic({ baseURL: URL_, apiKey: key, maxRetries: 0 });

const ask = (content = QUESTION, { key, ...fields } = {}) =>
  claude(key).messages.create({
    model: MODELS.claude, max_tokens: 300, messages: [{ role: "user", content }], ...fields,
  });

const stream = (question = QUESTION) =>
  claude().messages
    .stream({
      model: MODELS.claude, max_tokens: 300, messages: [{ role: "user", content: question }],
    })
    .finalText();

async function tools() {
  const tool = { name: "weather", description: "Tells the weather.", input_schema: WEATHER };
  const answer = await ask(TOOL_QUESTION, { tools: [tool] });
  const call = answer.content.find((block) => block.type === "tool_use");
  return { name: call.name, arguments: call.input };
}

const gemini = (key = KEY) => new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: URL_ } });

const askGemini = ({ key, ...fields } = {}) =>
  gemini(key).models.generateContent({ model: MODELS.gemini, contents: QUESTION, ...fields });

async function streamGemini(question = QUESTION) {
  let said = "";
  const parts = await gemini().models.generateContentStream({
    model: MODELS.gemini, contents: question,
  });
  for await (const part of parts) said += part.text ?? "";
  return said;
}

async function toolsOfGemini() {
  const tool = { functionDeclarations: [{ name: "weather", parametersJsonSchema: WEATHER }] };
  const answer = await askGemini({ contents: TOOL_QUESTION, config: { tools: [tool] } });
  const [call] = answer.functionCalls;
  return { name: call.name, arguments: call.args };
}

await tell({
  "chat": async () => (await ask()).content[0].text,
  "stream": stream,
  "tools": tools,
  "chat with Gemini": async () => (await askGemini()).text,
  "stream of Gemini": streamGemini,
  "tools of Gemini": toolsOfGemini,
  "unknown key": () => ask(QUESTION, { key: UNKNOWN_KEY }),
  "unknown model": () => ask(QUESTION, { model: "no-such-model" }),
  "no balance": () => ask(QUESTION, { key: EMPTY_KEY }),
  "bad request": () => ask(7),
  "broken stream": () => stream(BREAK),
  "unknown key to Gemini": () => askGemini({ key: UNKNOWN_KEY }),
  "no balance for Gemini": () => askGemini({ key: EMPTY_KEY }),
  "broken stream of Gemini": () => streamGemini(BREAK),
});
