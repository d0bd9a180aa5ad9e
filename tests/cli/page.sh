#!/bin/sh
# The page in a browser: sh page.sh LMWATT
# Headless Chromium draws it in light and dark; a script put in front counts errors and what is fetched, moves the slider
# and writes down what it sees.
set -u
program=$(realpath "$1")
browser=$(command -v chromium || command -v chromium-headless-shell) || { echo "skipped: chromium is not installed"; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

# Two models of two years on two machines, over two domains; the small one is wrong for every third question.
rows() { # RUN MODEL PARAMS MACHINE MODEL_DATE JOULES WRONG_EVERY
    i=0
    while [ $i -lt 60 ]; do
        i=$((i + 1))
        echo "{\"run\":\"$1\",\"query_id\":\"q$i\",\"workload\":\"w\",\"model\":\"$2\",\"params\":$3,\"active_params\":$3,\"machine\":\"$4\",\"domain\":\"$([ $((i % 2)) = 0 ] && echo even || echo odd)\",\"score\":$([ $((i % $7)) = 0 ] && echo 0 || echo 1),\"prompt_tokens\":20,\"completion_tokens\":30,\"ttft_ns\":$((20000000 + i * 100000)),\"latency_ns\":$((200000000 + i * 4000000)),\"energy_uj\":$(($6 * 1000000 + i * 1000)),\"energy_prefill_uj\":$(($6 * 200000)),\"energy_decode_uj\":$(($6 * 800000 + i * 1000)),\"energy_valid\":true,\"model_date\":\"$5\",\"machine_date\":\"$5\"}"
    done
}
{ rows 'small </script><b>' tiny 1000000 laptop 2023 2 3; rows large huge 9000000 server 2025 20 20; } >records.jsonl
"$program" import records.jsonl --store s.db >import.log 2>&1 || { cat import.log; exit 1; }
"$program" report --store s.db --html page.html --local 'small </script><b>' --cloud large >report.log 2>&1 || { cat report.log; exit 1; }
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
    dark=$([ $scheme = dark ] && echo 0 || echo 1)
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --window-size=900,1200 --virtual-time-budget=5000 --user-data-dir="$dir/profile" \
        --blink-settings=preferredColorScheme="$dark" --dump-dom "file://$dir/probed.html" >dom.html 2>browser.log
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
exit $n_bad
