/** The messages of a conversation as they are seen. */
import { byId, h, icon, iconButton } from './dom.js';
import { copyText, renderInto } from './markdown.js';
import { thumbnail } from './slices.js';

const NEAR_END_PIXELS = 80;

/**
 * @param {{edit: function(number), again: function(number)}} actions by the place of a message
 */
export function makeThread(actions) {
  const list = byId('messages');
  const scroller = byId('thread');
  const toEnd = byId('to-end');
  const elements = new Map();
  let follows = true;

  const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PIXELS;
  const end = () => {
    follows = true;
    scroller.scrollTop = scroller.scrollHeight;
    toEnd.hidden = true;
  };
  scroller.addEventListener('scroll', () => {
    follows = atEnd();
    toEnd.hidden = follows;
  });
  // Pictures and the keyboard of a phone change heights after the fact.
  new ResizeObserver(() => follows && end()).observe(list);
  new ResizeObserver(() => follows && end()).observe(scroller);
  toEnd.addEventListener('click', end);

  /** Shows all messages anew. */
  function show(messages) {
    elements.clear();
    list.replaceChildren(...messages.map((message, place) => make(message, place, place === messages.length - 1)));
    byId('welcome').hidden = messages.length > 0;
    end();
  }

  function make(message, place, last) {
    const element = message.role === 'user' ? question(message, place) : answer(message, place, last);
    elements.set(message.id, element);
    return element;
  }

  function question(message, place) {
    const pictures = (message.media ?? []).map((medium) => thumbnail(medium, message.slicing));
    return h(
      'li.message.user',
      { 'aria-label': 'You' },
      pictures.length > 0 && h('div.pictures', {}, ...pictures),
      message.text && h('div.text', {}, message.text),
      h(
        'div.actions',
        {},
        iconButton('edit', 'Edit this message', () => actions.edit(place)),
        message.text && iconButton('copy', 'Copy this message', () => copyText(message.text)),
      ),
    );
  }

  function answer(message, place, last) {
    const element = h(
      'li.message.assistant',
      { 'aria-label': 'Answer' },
      h('div.markdown', {}),
      h('p.note', { hidden: true }),
      h(
        'div.actions',
        {},
        iconButton('copy', 'Copy this answer', () => copyText(message.text)),
        last && iconButton('again', 'Answer again', () => actions.again(place)),
        h('span.stats', {}),
      ),
    );
    update(element, message, false);
    return element;
  }

  /** Shows what has become of an answer. */
  function update(element, message, running) {
    element.classList.toggle('running', running);
    element.setAttribute('aria-busy', String(running));
    renderInto(element.querySelector('.markdown'), message.text);
    const note = element.querySelector('.note');
    note.textContent = message.error ?? (message.stopped ? 'Stopped.' : message.cut ? 'The limit of tokens is reached.' : '');
    note.classList.toggle('problem', Boolean(message.error));
    note.hidden = !note.textContent;
    element.querySelector('.stats').replaceChildren(...describe(message.stats));
  }

  return {
    show,
    end,
    update(message, running) {
      const element = elements.get(message.id);
      if (element) update(element, message, running);
      if (follows) end();
    },
  };
}

function describe(stats) {
  if (!stats) return [];
  const parts = [];
  if (stats.firstMillis !== undefined) parts.push(`first word after ${seconds(stats.firstMillis)}`);
  if (stats.tokens) parts.push(`${stats.exact ? '' : 'about '}${stats.tokens} tokens`);
  if (stats.tokensPerSecond) parts.push(`${stats.tokensPerSecond.toFixed(stats.tokensPerSecond < 10 ? 1 : 0)} tokens/s`);
  const line = parts.join(' · ');
  if (!stats.promptTokens) return [line];
  const details = [`${stats.promptTokens} tokens of prompt`];
  if (stats.imageTokens) details.push(`${stats.imageTokens} of pictures`);
  if (stats.cachedTokens) details.push(`${stats.cachedTokens} known already`);
  if (stats.visionMillis >= 1) details.push(`seen in ${seconds(stats.visionMillis)}`);
  if (stats.prefillMillis >= 1) details.push(`read in ${seconds(stats.prefillMillis)}`);
  return [h('details', {}, h('summary', {}, line), details.join(', '))];
}

const seconds = (millis) => (millis < 995 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`);

/** The list of conversations. */
export function showHistory(conversations, current, { open, remove }) {
  byId('history').replaceChildren(
    ...conversations.map(({ id, title }) =>
      h(
        'li',
        {},
        h('button.conversation', { type: 'button', 'aria-current': id === current ? 'page' : null, click: () => open(id) }, title),
        h('button.icon.small', { type: 'button', 'aria-label': `Delete ${title}`, title: 'Delete', click: () => remove(id) }, icon('bin')),
      ),
    ),
  );
}
