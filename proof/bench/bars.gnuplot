# SPDX-License-Identifier: GPL-2.0
# Draws bench.dat (text, stock, ours) as bench.svg.
set terminal svg noenhanced size 1100,670 font "sans,12" background "white"
set output "bench.svg"
set title "Instructions per operation: less is better (logarithmic)"
set logscale y
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9
set grid ytics
set xtics rotate by -40 scale 0
set key top left
set yrange [1:*]
set format y "%.0s%c"
set bmargin 18
set rmargin 28
plot "bench.dat" using 2:xtic(1) title "stock" linecolor rgb "#b0b0b0", \
     "" using 3 title "ours" linecolor rgb "#2060a0"
