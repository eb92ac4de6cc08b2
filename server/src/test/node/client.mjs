// Asks a started server as npm's openai does. Arguments: base URL, key, directory of pictures, and
// "full" where the queue of the server is. Every check that fails ends the process
// with its stack; the last line says that all were made.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import OpenAI from 'openai';

const [baseURL, apiKey, pictures, step] = process.argv.slice(2);
const model = 'tiny';
const client = new OpenAI({baseURL, apiKey, maxRetries: 0});

const picture = name =>
  'data:image/png;base64,' + readFileSync(join(pictures, name)).toString('base64');

const question = (name, more = {}) => ({
  model,
  temperature: 0,
  max_completion_tokens: 24,
  messages: [{
    role: 'user',
    content: [
      {type: 'image_url', image_url: {url: picture(name)}},
      {type: 'text', text: 'What colour is the circle?'},
    ],
  }],
  ...more,
});

const endless = {
  model,
  stream: true,
  min_tokens: 8000,
  max_completion_tokens: 8000,
  messages: [{role: 'user', content: 'Go on.'}],
};

const rain = {
  name: 'rain',
  description: 'Whether it rains.',
  parameters: {
    type: 'object',
    properties: {city: {enum: ['Bonn']}},
    required: ['city'],
    additionalProperties: false,
  },
};

async function fails(status, kind, body) {
  await assert.rejects(client.chat.completions.create(body), error => {
    assert.ok(error instanceof kind, `${error}`);
    assert.equal(error.status, status);
    assert.equal(typeof error.code, 'string');
    assert.ok(error.requestID);
    return true;
  });
}

async function picturesAreSeen() {
  for (const colour of ['red', 'blue']) {
    const whole = await client.chat.completions.create(question(colour + '.png'));
    assert.equal(whole.choices[0].message.content.trim(), `The circle is ${colour}.`);
    assert.equal(whole.choices[0].finish_reason, 'stop');
    assert.equal(
      whole.usage.prompt_tokens + whole.usage.completion_tokens, whole.usage.total_tokens);
  }
}

async function streamsSayTheSame() {
  const stream = await client.chat.completions.create(
    question('red.png', {stream: true, stream_options: {include_usage: true}}));
  let text = '';
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.equal(text.trim(), 'The circle is red.');
  assert.ok(usage.prompt_tokens_details.cached_tokens > 0);

  const runner = client.chat.completions.stream(question('blue.png'));
  const completion = await runner.finalChatCompletion(); // throws where a choice is incomplete
  assert.equal(completion.choices[0].message.content.trim(), 'The circle is blue.');
}

async function toolsAreCalled() {
  const body = {
    model,
    temperature: 0,
    max_completion_tokens: 200,
    messages: [{role: 'user', content: 'Rain?'}],
    tools: [{type: 'function', function: rain}],
    tool_choice: 'required',
    parallel_tool_calls: false,
  };
  const message = (await client.chat.completions.create(body)).choices[0].message;
  assert.equal(message.tool_calls[0].function.name, 'rain');
  assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), {city: 'Bonn'});
  const streamed = await client.chat.completions.stream(body).finalMessage();
  assert.deepEqual(streamed.tool_calls[0].function, message.tool_calls[0].function);
  const after = await client.chat.completions.create({
    ...body,
    tool_choice: 'none',
    max_completion_tokens: 4,
    messages: [
      ...body.messages,
      message,
      {role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'no'},
    ],
  });
  assert.equal(typeof after.choices[0].message.content, 'string');
}

async function schemasAreKept() {
  const answer = await client.chat.completions.create(question('red.png', {
    max_completion_tokens: 100,
    response_format: {
      type: 'json_schema',
      json_schema: {name: 'colour', strict: true, schema: {enum: ['red', 'blue']}},
    },
  }));
  assert.ok(['red', 'blue'].includes(JSON.parse(answer.choices[0].message.content)));
}

async function streamsAreCancelled() {
  const stream = await client.chat.completions.create(endless);
  for await (const chunk of stream) {
    if (chunk.choices[0].delta.content) {
      break; // aborts the request
    }
  }
}

async function errorsAreTold() {
  const text = {model, messages: [{role: 'user', content: 'x'}]};
  await fails(400, OpenAI.BadRequestError, {...text, n: 1000});
  await fails(400, OpenAI.BadRequestError, {
    ...text,
    messages: [{
      role: 'user',
      content: [{type: 'image_url', image_url: {url: 'data:image/png;base64,aGVsbG8='}}],
    }],
  });
  await fails(404, OpenAI.NotFoundError, {...text, model: 'gpt-4'});
  await fails(413, OpenAI.APIError, {
    ...text,
    tools: [{type: 'function', function: {...rain, description: 'x'.repeat(70000)}}],
  });
  const stranger = new OpenAI({baseURL, apiKey: 'another-key', maxRetries: 0});
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  assert.equal((await client.models.list()).data[0].id, model);
}

async function overloadIsTold() {
  await fails(429, OpenAI.RateLimitError, {model, messages: [{role: 'user', content: 'x'}]});
}

if (step === 'full') {
  await overloadIsTold();
} else {
  await picturesAreSeen();
  await streamsSayTheSame();
  await toolsAreCalled();
  await schemasAreKept();
  await streamsAreCancelled();
  await errorsAreTold();
}
console.log('all is well');
