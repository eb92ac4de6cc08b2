/** Pictures with the slices that the model saw of them. */
import * as api from './api.js';
import { byId, h, icon, svg } from './dom.js';
import { closeButton, settings } from './settings.js';

const urls = new Map();

/** One object URL for a blob, however often it is shown. */
export function urlOf(blob) {
  if (!urls.has(blob)) urls.set(blob, URL.createObjectURL(blob));
  return urls.get(blob);
}

/** For media that are shown no more. */
export function releaseUrls() {
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls.clear();
}

/**
 * A picture in the thread; a click shows it large.
 *
 * @param {{maxSliceNums: ?number, video: boolean}} slicing the options of the request it was in
 */
export function thumbnail(medium, slicing) {
  const image = h('img', { src: urlOf(medium.blobs[0]), alt: medium.name, width: medium.width, height: medium.height });
  const badge = h('span.badge');
  const figure = h('span.sliced', {}, image);
  const button = h(
    'button.picture',
    { type: 'button', 'aria-label': `Show ${medium.name} and its slices`, click: () => openViewer(medium, slicing) },
    figure,
    badge,
  );
  planOf(medium, slicing).then(
    (plan) => {
      if (settings.drawSlices) figure.append(grid(plan));
      const slices = plan.slices === 1 ? '1 slice' : `${plan.slices} slices`;
      badge.textContent = medium.kind === 'picture' ? slices : framesLabel(medium);
    },
    () => badge.remove(), // the picture is there without it
  );
  return button;
}

const framesLabel = (medium) => (medium.kind === 'gif' ? 'GIF' : `${medium.blobs.length} frames`);

const planOf = (medium, slicing) => api.slices(medium.width, medium.height, slicing);

/** Lines where the picture was cut: the refined copy has the picture's whole area. */
function grid(plan) {
  const lines = [];
  for (let c = 1; c < plan.columns; c++) {
    const x = `${(100 * c) / plan.columns}%`;
    lines.push(...line({ x1: x, x2: x, y1: 0, y2: '100%' }));
  }
  for (let r = 1; r < plan.rows; r++) {
    const y = `${(100 * r) / plan.rows}%`;
    lines.push(...line({ y1: y, y2: y, x1: 0, x2: '100%' }));
  }
  return svg('svg', { class: 'slices', 'aria-hidden': 'true' }, ...lines);
}

/** Light over dark, so that it is seen on any picture. */
const line = (ends) => [svg('line', { ...ends, class: 'under' }), svg('line', { ...ends, class: 'over' })];

/** The picture as large as it goes, with what the model made of it. */
async function openViewer(medium, slicing) {
  const dialog = byId('viewer');
  let frame = 0;
  const image = h('img', { alt: medium.name, width: medium.width, height: medium.height });
  const figure = h('span.sliced.large', {}, image);
  const facts = h('p.facts', {});
  const overview = h('div.overview', {});
  const position = h('span.muted', {});
  const show = (step) => {
    frame = (frame + step + medium.blobs.length) % medium.blobs.length;
    image.src = urlOf(medium.blobs[frame]);
    position.textContent = `frame ${frame + 1} of ${medium.blobs.length}`;
  };
  show(0);
  const several = medium.blobs.length > 1;
  const head = h('header', {}, h('h2', {}, medium.name), several && position);
  if (several) {
    head.append(
      h('button', { type: 'button', 'aria-label': 'Previous frame', click: () => show(-1) }, '‹'),
      h('button', { type: 'button', 'aria-label': 'Next frame', click: () => show(1) }, '›'),
    );
  }
  const toggle = h('button', { type: 'button', 'aria-pressed': 'true' }, icon('grid'), 'Slices');
  toggle.addEventListener('click', () => {
    const shown = figure.classList.toggle('bare');
    toggle.setAttribute('aria-pressed', String(!shown));
  });
  head.append(toggle, closeButton(() => dialog.close()));
  dialog.replaceChildren(head, h('div.stage', {}, figure), h('footer', {}, overview, facts));
  dialog.addEventListener('keydown', (event) => {
    if (several && event.key === 'ArrowLeft') show(-1);
    if (several && event.key === 'ArrowRight') show(1);
  });
  if (!dialog.open) dialog.showModal();
  try {
    const plan = await planOf(medium, slicing);
    figure.append(grid(plan), ...numbers(plan));
    overview.append(h('img', { src: image.src, alt: 'the overview' }));
    facts.append(...describe(medium, plan));
  } catch (error) {
    facts.textContent = error.message;
  }
}

function numbers(plan) {
  if (plan.slices === 1) return [];
  const labels = h('span.numbers', { 'aria-hidden': 'true' });
  labels.style.gridTemplateColumns = `repeat(${plan.columns}, 1fr)`;
  labels.style.gridTemplateRows = `repeat(${plan.rows}, 1fr)`;
  for (let i = 1; i < plan.slices; i++) labels.append(h('b', {}, String(i)));
  return [labels];
}

const size = ({ width, height }) => `${width} × ${height}`;

function describe(medium, plan) {
  const overview = `an overview of ${size(plan.overview)}`;
  const cut =
    plan.slices === 1
      ? `${overview}, as large as one slice: nothing is cut`
      : `${overview} and ${plan.slices - 1} slices of ${size(plan.slice)}, ${plan.columns} across and ${plan.rows} down`;
  const per = medium.kind === 'picture' ? '' : ' a frame';
  return [`${size(medium)} pixels become ${cut}.`, h('br'), h('strong', {}, `${plan.image_tokens} tokens${per}`)];
}
