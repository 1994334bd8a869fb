#!/usr/bin/env bash
# Sets up, makes a small data set, trains a small MSDTGP on it (or all systems of the paper's table that two cores can
# train), tests, compares with bicubic interpolation, and super-resolves a clip with the weights that come along.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: bash scripts/demo.sh [--all-systems] [--stills FOLDER] [--clip FOLDER] [--output FOLDER] [--iterations N]
                            [--seed N] [--no-cost]

Without options: draws satellite scenes, trains for seven minutes on two cores, and tests on clips held out.

  --all-systems     train and compare TDAN, EDVR-M, SOF-VSR, a small RBPN, a short BasicVSR and a small MSDTGP, all in
                    the same way: an hour on two cores, for a look at the comparison rather than at the systems
  --stills FOLDER   train on clips simulated from these pictures (about 1 m a pixel) instead of drawn scenes;
                    trains longer, 35 minutes on two cores
  --clip FOLDER     also test on a real clip: FOLDER/GT/<clip>/<frame>.png and, if there, FOLDER/LR4x/<clip>/...
                    (made from GT as the authors of Jilin-189 made theirs where it is missing)
  --output FOLDER   where everything goes (default: demo_output beside this project's README)
  --iterations N    training iterations (default: 400 for drawn scenes, 1800 for stills; 250 of each system with
                    --all-systems)
  --seed N          seed of the simulation (default: 0)
  --no-cost         do not measure what each system costs, which takes about a minute a system
  --clips N, --test-clips N, --frames N, --size PX   the simulated data set (size is that of GT)
TEXT
}

fail() {
  echo "error: $*" >&2
  exit 2
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
all_systems=no cost=() stills='' clip='' output="$root/demo_output" iterations='' seed=0 clips='' test_clips=4 frames=9 size=256
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --all-systems) all_systems=yes; shift ;;
    --no-cost) cost=(--no-cost); shift ;;
    --stills | --clip | --output | --iterations | --seed | --clips | --test-clips | --frames | --size)
      [ $# -ge 2 ] || fail "$1 needs a value; see --help"
      name=${1#--}
      declare "${name//-/_}=$2"
      shift 2 ;;
    *) fail "unknown option $1; see --help" ;;
  esac
done
[ -z "$stills" ] || [ -d "$stills" ] || fail "--stills $stills: no such folder"
[ -z "$clip" ] || [ -d "$clip/GT" ] || fail "--clip $clip: has no folder GT with clips in it"
recipes=options/demo systems=(MSDTGP_small) validations=2
if [ "$all_systems" = yes ]; then
  recipes=options/demo/comparison systems=(TDAN EDVR_M SOFVSR RBPN_small BasicVSR MSDTGP_small) validations=1
  iterations=${iterations:-250}
fi
iterations=${iterations:-$([ -n "$stills" ] && echo 1800 || echo 400)}
clips=${clips:-$([ -n "$stills" ] && echo 160 || echo 48)}
[[ $iterations =~ ^[1-9][0-9]*$ ]] || fail "--iterations $iterations: not a positive number"

bash "$root/scripts/setup_env.sh"
export PATH="$root/.venv/bin:$PATH"
# Threads that wait busily starve each other as soon as anything else runs on the same cores.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
[ -z "$stills" ] || stills=$(cd "$stills" && pwd)
[ -z "$clip" ] || clip=$(cd "$clip" && pwd)
mkdir -p "$output"
cd "$output"

step() {
  printf '\n== %s\n' "$*"
}

step 'Data: simulate clips, and put the training clips into LMDB'
python "$root/scripts/simulate_clips.py" --output data --seed "$seed" --clips "$clips" --test-clips "$test_clips" \
  --frames "$frames" --size "$size" --overwrite ${stills:+--stills "$stills"}
for side in GT LR4x; do
  python "$root/scripts/prepare_lmdb.py" --input "data/train/$side" --output "data/train/$side.lmdb" --overwrite
done

for system in "${systems[@]}"; do
  step "Training: $system, $iterations iterations"
  basicsr train -opt "$root/$recipes/train_${system}_x4_demo.yml" --force_yml \
    train:total_iter="$iterations" train:scheduler:periods="[$iterations]" \
    val:val_freq=$(((iterations + validations - 1) / validations))
done

# compare SET FOLDER: test all systems on FOLDER/{GT,LR4x} under the name SET, and compare them.
compare() {
  local set=$1 folder=$2 system options results=()
  for system in Bicubic "${systems[@]}"; do
    options="$root/$recipes/test_${system}_x4_demo.yml"
    [ "$system" != Bicubic ] || options="$root/options/demo/test_Bicubic_x4_demo.yml"
    echo "testing $system"
    basicsr test -opt "$options" --force_yml name="${system}_$set" datasets:test:name="$set" \
      datasets:test:dataroot_gt="$folder/GT" datasets:test:dataroot_lq="$folder/LR4x" \
      >"test_${system}_$set.log" 2>&1 || { cat "test_${system}_$set.log" >&2; exit 2; }
    results+=("results/${system}_$set")
  done
  python "$root/scripts/compare_models.py" "${results[@]}" --names Bicubic "${systems[@]}" --output "comparison_$set" \
    ${cost[@]+"${cost[@]}"}
}

step 'Test: clips held out from training'
compare held_out data/eval
shown=(held_out)

if [ -n "$clip" ]; then
  step "Test: the real clip in $clip"
  if [ ! -d "$clip/LR4x" ]; then
    python "$root/scripts/degrade_clips.py" --input "$clip/GT" --output data/real --scale 4 --crop --overwrite
    clip="$PWD/data/real"
  fi
  compare real_clip "$clip"
  shown+=(real_clip)
fi

step 'Your own video: the weights that come with the package, on LR frames alone'
lr=$(find "${clip:-$PWD/data/eval}/LR4x" -mindepth 1 -maxdepth 1 | sort | head -n 1)
basicsr infer --input "$lr" --output own_video --overwrite --preview 3 --compare "${clip:-$PWD/data/eval}/GT/${lr##*/}"

step 'Done. Look at:'
for set in "${shown[@]}"; do
  echo "  $output/comparison_$set/report.html       everything on one page, to be opened in a browser"
  echo "  $output/comparison_$set/comparison.png    all systems and ground truth, enlarged"
  echo "  $output/comparison_$set/comparison.md     PSNR and SSIM of every clip, cost, significance"
  echo "  $output/results/MSDTGP_small_$set/visualization/   every super-resolved frame"
done
echo "  $output/own_video/ and own_video_preview.png   what the weights that come along make of one clip"
echo "  $output/experiments/demo_MSDTGP_small/   the trained weights, their option file and the training log"
