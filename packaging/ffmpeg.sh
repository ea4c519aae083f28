#!/usr/bin/env bash
# Builds the part of FFmpeg that `fleming` uses, as static libraries under PREFIX: `packaging/ffmpeg.sh PREFIX`.
#
# The source is that of the distribution (`apt-get source`), its patches included; without GPL or non-free parts, so
# that the result is under the LGPL 2.1. The source archives are kept in PREFIX/source: who passes the libraries on
# passes them on as well.
set -euo pipefail
mkdir -p "$1"
prefix=$(realpath "$1")

# What the readers of src/input/video/container.rs open, and the codecs that are found in such files.
demuxers=asf,avi,flv,h264,hevc,matroska,mov,mpegps,mpegts,mpegvideo,ogg,yuv4mpegpipe
decoders=bmp,cinepak,dnxhd,dvvideo,ffv1,ffvhuff,flashsv,flv,gif,h261,h263,h263i,h263p,h264,hevc,huffyuv,indeo3,indeo5
decoders+=,jpeg2000,jpegls,lagarith,mjpeg,mjpegb,mpeg1video,mpeg2video,mpeg4,msmpeg4v1,msmpeg4v2,msmpeg4v3,msrle
decoders+=,msvideo1,png,prores,qtrle,rawvideo,rpza,svq1,svq3,theora,utvideo,v210,vc1,vp3,vp6,vp6a,vp6f,vp8,vp9
decoders+=,wmv1,wmv2,wmv3,wrapped_avframe
# Those of `graph` in src/input/video.rs.
filters=buffer,buffersink,copy,format,hflip,null,scale,transpose,vflip

options=(
  --prefix="$prefix" --enable-static --disable-shared --enable-pic
  --disable-everything --disable-autodetect --disable-programs --disable-doc --disable-debug --disable-network
  --disable-avdevice --disable-postproc --enable-zlib
  --enable-demuxer="$demuxers" --enable-decoder="$decoders" --enable-parsers --enable-bsfs
  --enable-filter="$filters"
)

rm -rf "$prefix/apt"
mkdir -p "$prefix/source" "$prefix/apt/partial"
cd "$prefix/source"
if ! ls ffmpeg_*.dsc >/dev/null 2>&1; then
  # The machine's own package sources, read as sources of source packages.
  mkdir "$prefix/apt/parts"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
    [ ! -f "$file" ] || sed 's/^deb /deb-src /; s/^Types:.*/Types: deb-src/' "$file" >"$prefix/apt/parts/${file##*/}"
  done
  apt=(apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$prefix/apt/parts"
    -o "Dir::State::lists=$prefix/apt" -o APT::Sandbox::User=)
  "${apt[@]}" update
  "${apt[@]}" source ffmpeg
fi
cd ffmpeg-*/
./configure "${options[@]}" >"$prefix/configuration"
grep -q '^License: LGPL version 2.1' "$prefix/configuration" # the licence that the notices state
make -j"$(nproc)" >/dev/null
make install >/dev/null
