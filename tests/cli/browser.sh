# shellcheck shell=sh
# For the tests that look at the report's page in a browser, which they source with LMWATT as $1: a folder of their own, a page
# of made records, Chromium.
set -u
program=$(realpath "$1")
browser=$(command -v chromium || command -v chromium-headless-shell) || { echo "skipped: chromium is not installed"; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

# Two models of two years on two machines, over two domains, several in flight, joules of two rails; the small one is wrong
# for every third question.
rows() { # RUN MODEL PARAMS MACHINE MODEL_DATE JOULES WRONG_EVERY
    i=0
    while [ $i -lt 60 ]; do
        i=$((i + 1))
        echo "{\"run\":\"$1\",\"query_id\":\"q$i\",\"workload\":\"w\",\"model\":\"$2\",\"params\":$3,\"active_params\":$3,\"machine\":\"$4\",\"domain\":\"$([ $((i % 2)) = 0 ] && echo even || echo odd)\",\"score\":$([ $((i % $7)) = 0 ] && echo 0 || echo 1),\"prompt_tokens\":20,\"completion_tokens\":30,\"t_start_ns\":$((i * 100000000)),\"ttft_ns\":$((20000000 + i * 100000)),\"latency_ns\":$((200000000 + i * 4000000)),\"energy_uj\":$(($6 * 1000000 + i * 1000)),\"energy_prefill_uj\":$(($6 * 200000)),\"energy_decode_uj\":$(($6 * 800000 + i * 1000)),\"energy_rails\":{\"package\":$(($6 * 900000)),\"dram\":$(($6 * 100000 + i * 1000))},\"energy_valid\":true,\"model_date\":\"$5\",\"machine_date\":\"$5\"}"
    done
}
made_page() {
    { rows 'small </script><b>' tiny 1000000 laptop 2023 2 3; rows large huge 9000000 server 2025 20 20; } >records.jsonl
    { "$program" import records.jsonl --store s.db &&
        "$program" report --store s.db --html page.html --local 'small </script><b>' --cloud large; } >page.log 2>&1 || { cat page.log; exit 1; }
}

# What the browser makes of FILE, in light or dark: dom.html.
draw() { # FILE SCHEME
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --window-size=900,1200 --virtual-time-budget=8000 --user-data-dir="$dir/profile" \
        --blink-settings=preferredColorScheme="$([ "$2" = dark ] && echo 0 || echo 1)" --dump-dom "file://$dir/$1" >dom.html 2>browser.log
}
