#!/bin/sh
# The page in a browser: sh page.sh LMWATT
# Headless Chromium draws it in light and dark; a script put in front counts errors and what is fetched, moves the slider,
# goes through what a keyboard reaches, and writes down what it sees.
# shellcheck source=tests/cli/browser.sh
. "$(dirname "$0")/browser.sh"
made_page
[ "$(wc -c <page.html)" -lt 2000000 ] || { echo "the page has $(wc -c <page.html) bytes"; exit 1; }

cat >probe.html <<'PROBE'
<script>
window.problems = [];
addEventListener("error", e => problems.push("error: " + e.message));
const complain = console.error; console.error = (...a) => { problems.push("console: " + a.join(" ")); complain(...a); };
addEventListener("load", () => {
    const say = document.getElementById("routing-says"), slider = document.querySelector("#routing input"), before = say.textContent;
    slider.value = 40; slider.dispatchEvent(new Event("input"));
    const after = say.textContent;
    const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = rgb => { const [r, g, b] = rgb.match(/[\d.]+/g).map(Number).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const page = light(getComputedStyle(document.body).backgroundColor);
    for (const e of document.querySelectorAll("p, th, td:not(.heat), small, a, dt, dd, summary, label")) {
        const ink = light(getComputedStyle(e).color), ratio = (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
        if (ratio < 4.5) problems.push(`contrast ${ratio.toFixed(2)} of ${e.tagName} ${e.textContent.slice(0, 20)}`);
    }
    for (const c of document.querySelectorAll("canvas")) if (!c.getAttribute("aria-label")) problems.push("a picture without words");
    for (const c of document.querySelectorAll("input, select")) if (!c.labels.length) problems.push("a control without a label");
    for (const r of performance.getEntriesByType("resource")) if (!/^(data|blob):/.test(r.name)) problems.push("fetched " + r.name);
    for (const e of document.querySelectorAll("a, input, select, summary, .wide")) {
        if (!e.offsetParent) continue;
        e.focus();
        if (document.activeElement !== e) problems.push(`a keyboard does not reach ${e.tagName} ${e.textContent.slice(0, 20)}`);
    }
    const shown = [...document.querySelectorAll("section")].filter(s => !s.hidden).map(s => s.id);
    const out = document.createElement("pre"); out.id = "probe";
    out.textContent = JSON.stringify({ shown, before, after, charts: Object.keys(Chart.instances).length, page, problems });
    document.body.append(out);
});
</script>
PROBE
cat probe.html page.html >probed.html
n_bad=0
for scheme in light dark; do
    draw probed.html $scheme
    sed -n 's/.*<pre id="probe">\(.*\)<\/pre>.*/\1/p' dom.html >seen.json
    [ -s seen.json ] || { echo "$scheme: the page did not come to its end"; tail -n 5 browser.log; exit 1; }
    want() { grep -q "$1" seen.json || { echo "$scheme: no $1 in $(cat seen.json)"; n_bad=$((n_bad + 1)); }; }
    want '"shown":\["scatter","split","latency","routing","trend","environment"\]'
    want '"problems":\[\]'
    want '"charts":5'
    want '"before":"It keeps 53.3 % of the queries local, saves 47.9 % of the joules, and 97.7 % of the answers'
    want '"after":"It keeps 26.7 % of the queries local, saves 24.0 % of the joules, and 96.3 % of the answers'
    case $scheme in light) want '"page":1,' ;; dark) want '"page":0.0' ;; esac
done

# Of a cloud that is never right, and of nothing that could be saved, nothing is said.
for run in local cloud; do
    for i in 1 2 3; do echo "{\"run\":\"$run\",\"query_id\":\"q$i\",\"score\":$([ $run = local ] && echo 1 || echo 0)}"; done
done >never.jsonl
{ "$program" import never.jsonl --store n.db && "$program" report --store n.db --html never.html --local local --cloud cloud; } >page.log 2>&1 ||
    { cat page.log; exit 1; }
draw never.html light
grep -q 'It keeps 80.0 % of the queries local, and 80.0 % of the answers are right (- of the cloud' dom.html ||
    { echo "of a cloud that is never right: $(grep -o 'It keeps[^<]*' dom.html)"; n_bad=$((n_bad + 1)); }
exit $n_bad
