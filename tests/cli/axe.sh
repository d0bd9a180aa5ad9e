#!/bin/sh
# axe-core over the page: sh axe.sh LMWATT SOURCE_ROOT FOLDER_OF_AXE
# Pages of several kinds of records, each in light and as wide as a screen, in dark and as wide as a phone: no violation of
# any of its rules, and nothing wider than the phone. `./dev axe` puts axe-core where this looks for it.
src=$(realpath "$2") axe=$(realpath -m "$3")/node_modules/axe-core/axe.min.js
[ -f "$axe" ] || { echo "skipped: axe-core is not here (\`./dev axe\` installs it, with npm)"; exit 77; }
# shellcheck source=tests/cli/browser.sh
. "$(dirname "$0")/browser.sh"

matrix=$src/../shared/data/mmlu_pro/correct_matrix.tsv
made_page
mv page.html made.html
kinds="made paper demo"
{
    "$program" report --paper --store paper.db && "$program" report --store paper.db --html paper.html &&
        "$program" measure -m "$src/models/shop-intents-F16.gguf" -w "$src/workloads/shop-intents-test.jsonl" -s json -n 6 --idle-seconds 0.1 --store demo.db &&
        "$program" report --store demo.db --html demo.html
} >log 2>&1 || { cat log; exit 1; }
if [ -f "$matrix" ]; then
    awk -F '\t' 'NR == 1 { for (i = 4; i <= NF; i++) model[i] = $i; next }
        { for (i = 4; i <= NF; i++) if ($i != "?") printf "{\"query_id\":\"%s\",\"workload\":\"mmlu_pro\",\"domain\":\"%s\",\"model\":\"%s\",\"score\":%s}\n", $1, $2, model[i], $i }' \
        "$matrix" >many.jsonl
    { "$program" import many.jsonl --run many --store many.db && "$program" report --store many.db --html many.html; } >log 2>&1 || { cat log; exit 1; }
    kinds="$kinds many"
else
    echo "not looked at: a page of many models (no $matrix)"
fi

# The page says what axe found to the page around it, which is as wide as is asked.
look() { # KIND SCHEME WIDTH
    {
        printf '<script>'; cat "$axe"; printf '</script>'
        cat "$1.html"
        cat <<'PROBE'
<script>
addEventListener("load", async () => {
    const found = (await axe.run(document, { resultTypes: ["violations"] })).violations.map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => n.target.join(" ")).join(", ")}`);
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) found.push(`wider than the screen: ${root.scrollWidth} of ${root.clientWidth}`);
    parent.postMessage(found.length ? found.join("; ") : "nothing", "*");
});
</script>
PROBE
    } >inner.html
    cat >outer.html <<OUTER
<iframe src="inner.html" style="width: $3px; height: 4000px; border: 0"></iframe>
<script>addEventListener("message", e => { const p = document.createElement("pre"); p.id = "found"; p.textContent = e.data; document.body.append(p); });</script>
OUTER
    draw outer.html "$2"
    found=$(sed -n 's/.*<pre id="found">\(.*\)<\/pre>.*/\1/p' dom.html)
    [ "$found" = nothing ] || { echo "$1, $2, $3 px: ${found:-no answer}"; tail -n 3 browser.log; n_bad=$((n_bad + 1)); }
}

n_bad=0
for kind in $kinds; do
    look "$kind" light 1100
    look "$kind" dark 360
done
exit $n_bad
