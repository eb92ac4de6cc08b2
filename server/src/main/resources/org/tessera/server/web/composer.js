/** Where a message is written: text, pictures and videos. */
import { announce, byId, h, icon } from './dom.js';
import { read } from './media.js';
import { urlOf } from './slices.js';

const MAX_MEDIA = 32;

/**
 * @param {{send: function({text, media}), stop: function(), editLast: function(), running:
 *     function(): boolean}} actions
 */
export function makeComposer(actions) {
  const prompt = byId('prompt');
  const problem = byId('problem');
  let media = [];
  let reading = 0;
  let editing = null;

  function grow() {
    prompt.style.height = 'auto';
    prompt.style.height = `${prompt.scrollHeight}px`;
    updateSend();
  }

  function updateSend() {
    byId('send').disabled = reading > 0 || (!prompt.value.trim() && media.length === 0);
  }

  function say(text) {
    problem.textContent = text;
    problem.hidden = !text;
  }

  function showMedia() {
    const items = media.map((medium) =>
      h(
        'div.attachment',
        {},
        h('img', { src: urlOf(medium.blobs[0]), alt: medium.name }),
        medium.kind !== 'picture' && h('span.badge', {}, medium.kind === 'gif' ? 'GIF' : `${medium.blobs.length} frames`),
        h('button.icon', { type: 'button', 'aria-label': `Remove ${medium.name}`, click: () => drop(medium) }, icon('close')),
      ),
    );
    if (reading > 0) items.push(h('div.attachment.reading', { role: 'img', 'aria-label': 'Reading files' }));
    byId('attachments').replaceChildren(...items);
    updateSend();
  }

  function drop(medium) {
    media = media.filter((other) => other !== medium);
    showMedia();
    prompt.focus();
  }

  async function add(files) {
    say('');
    for (const file of files) {
      if (media.length >= MAX_MEDIA) {
        say(`A message may have ${MAX_MEDIA} pictures and videos at most.`);
        break;
      }
      reading++;
      showMedia();
      try {
        media.push(await read(file));
        announce(`${file.name} is attached`);
      } catch (error) {
        say(error.message);
      }
      reading--;
      showMedia();
    }
    prompt.focus();
  }

  function send() {
    const text = prompt.value.trim();
    if (actions.running() || reading > 0 || (!text && media.length === 0)) return;
    const message = { text, media };
    const place = editing;
    clear();
    actions.send(message, place);
  }

  function clear() {
    set('', [], null);
    say('');
  }

  function set(text, newMedia, place) {
    prompt.value = text;
    media = [...newMedia];
    editing = place;
    byId('editing').hidden = place === null;
    showMedia();
    grow();
  }

  byId('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    send();
  });
  byId('stop').addEventListener('click', actions.stop);
  byId('stop-editing').addEventListener('click', clear);
  prompt.addEventListener('input', grow);
  prompt.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    // On phones Enter is the only way to a new line.
    const enterSends = !matchMedia('(pointer: coarse)').matches;
    if (event.key === 'Enter' && !event.shiftKey && enterSends) {
      event.preventDefault();
      send();
    } else if (event.key === 'ArrowUp' && !prompt.value && media.length === 0) {
      event.preventDefault();
      actions.editLast();
    } else if (event.key === 'Escape' && !actions.running() && editing !== null) {
      clear();
    }
  });

  for (const [button, input] of [['attach', 'files'], ['camera', 'photograph']]) {
    byId(button).addEventListener('click', () => byId(input).click());
    byId(input).addEventListener('change', () => {
      add([...byId(input).files]);
      byId(input).value = ''; // the same file may be chosen again
    });
  }
  document.addEventListener('paste', (event) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    add([...event.clipboardData.files]);
  });
  acceptDrops(add);
  showMedia();

  return {
    clear,
    edit(message, place) {
      set(message.text, message.media ?? [], place);
      prompt.focus();
    },
    suggest(text) {
      prompt.value = text;
      grow();
      prompt.focus();
    },
    focus: () => prompt.focus(),
    setRunning(running) {
      byId('send').hidden = running;
      byId('stop').hidden = !running;
    },
  };
}

function acceptDrops(add) {
  const veil = byId('drop');
  const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
  document.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = true;
    add([...event.dataTransfer.files]);
  });
}
