// Opens a report in a browser, and compares what is drawn with what is counted. Run by .ci/browser.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import chromium from '@sparticuz/chromium';
import puppeteer from 'puppeteer-core';

const [file, shots] = process.argv.slice(2);
const address = `file://${file}`;
assert(statSync(file).size < 2_000_000, 'the page is below 2 MB');
const browser = await puppeteer.launch({
  args: chromium.args, executablePath: await chromium.executablePath(), headless: 'shell',
});
console.log(await browser.version());
const page = await browser.newPage();
const requests = [], problems = [];
page.on('request', it => requests.push(it.url()));
page.on('console', it => problems.push(it.text()));
page.on('pageerror', it => problems.push(String(it)));

// What the browser laid out.
const measure = () => page.evaluate(() => {
  const colour = text => text.match(/[\d.]+/g).slice(0, 3).map(Number);
  const light = parts => {
    const [r, g, b] = parts.map(it => it / 255).map(it => it <= 0.03928 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const body = getComputedStyle(document.body);
  const [one, other] = [body.color, body.backgroundColor].map(it => light(colour(it))).sort();
  const chart = document.querySelector('svg.time').getBoundingClientRect();
  const bars = [...document.querySelectorAll('svg.time g')].map(bar => [...bar.querySelectorAll('[data-count]')]
    .map(it => ({ outcome: it.getAttribute('class'), count: Number(it.dataset.count), height: it.getBoundingClientRect().height,
      fill: getComputedStyle(it).fill })));
  return {
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    cut: [...document.querySelectorAll('.scroll:not(details *)')].map(it => it.scrollWidth - it.clientWidth).filter(it => it > 0),
    background: body.backgroundColor, contrast: (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05),
    height: chart.height, width: chart.width, bars,
    cards: Object.fromEntries([...document.querySelectorAll('[data-card]')]
      .map(it => [it.dataset.card, Number(it.querySelector('b').textContent)])),
  };
});

const backgrounds = new Set();
for (const scheme of ['light', 'dark']) {
  for (const [width, height] of [[1280, 900], [390, 844]]) {
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(address);
    const seen = await measure();
    assert(seen.overflow <= 0, `${scheme} ${width}: the page is ${seen.overflow} too wide`);
    assert.deepEqual(seen.cut, [], `${scheme} ${width}: a table is wider than the page`);
    assert(seen.contrast >= 7, `${scheme}: contrast ${seen.contrast}`);
    assert(seen.width > width * 0.7, `${scheme} ${width}: the chart is ${seen.width} wide`);
    backgrounds.add(seen.background);
    const counts = {};
    const most = Math.max(...seen.bars.map(bar => bar.reduce((sum, it) => sum + it.count, 0)));
    for (const part of seen.bars.flat()) {
      counts[part.outcome] = (counts[part.outcome] ?? 0) + part.count;
      const expected = part.count / most * seen.height;
      assert(Math.abs(part.height - expected) < 1, `${part.count} of ${most} is ${part.height}, not ${expected}`);
      assert.notEqual(part.fill, seen.background);
    }
    const { records, ...cards } = seen.cards;
    for (const [outcome, count] of Object.entries(cards)) assert.equal(counts[outcome] ?? 0, count, outcome);
    assert.equal(Object.values(counts).reduce((sum, it) => sum + it, 0), records);
    await page.screenshot({ path: `${shots}/${scheme}-${width}.png`, fullPage: true });
    console.log(`${scheme}, ${width} wide: ${records} records drawn as counted, contrast ${seen.contrast.toFixed(1)}`);
  }
}
assert.equal(backgrounds.size, 2, 'light and dark differ');
await page.pdf({ path: `${shots}/print.pdf`, format: 'A4' });
assert(statSync(`${shots}/print.pdf`).size > 10_000);
await page.emulateMediaType('print');
assert.equal((await measure()).background, 'rgb(255, 255, 255)', 'paper is white, also in the dark');
assert.deepEqual([...new Set(requests)], [address], 'no request but for the page itself');
assert.deepEqual(problems, []);
console.log('printed; nothing was requested but the page');
await browser.close();
