package org.tessera.image;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.tessera.api.Image;
import org.tessera.error.ImageException;

/**
 * The programs {@code ffmpeg} and {@code ffprobe}, each run in a process of its own, without a
 * shell, with one local file to read, a container named by us, and a time limit.
 */
final class Ffmpeg {
  private static final Duration TIME_LIMIT = Duration.ofMinutes(2);
  private static final int MAX_PROBE_BYTES = 1 << 12;
  private static final int MAX_FRAMES_PER_SECOND = 100_000;
  private static final int MAX_SIDE = 1 << 16;

  /** Output frames follow each other at this rate; only their order matters. */
  private static final int OUTPUT_RATE = 25;

  private final String ffmpeg;
  private final String ffprobe;
  private final Duration timeLimit;

  Ffmpeg() {
    this("ffmpeg", "ffprobe", TIME_LIMIT);
  }

  Ffmpeg(String ffmpeg, String ffprobe, Duration timeLimit) {
    this.ffmpeg = ffmpeg;
    this.ffprobe = ffprobe;
    this.timeLimit = timeLimit;
  }

  /** What a file says about its first video stream. */
  record Probe(int width, int height, double framesPerSecond, long frames) {}

  Probe probe(String name, Path file, VideoFormat format) {
    List<String> command = new ArrayList<>(List.of(ffprobe, "-v", "error"));
    command.addAll(input(file, format));
    command.addAll(
        List.of(
            "-select_streams",
            "v:0",
            "-count_packets",
            "-show_entries",
            "stream=width,height,avg_frame_rate,nb_read_packets",
            "-of",
            "csv=print_section=0"));
    String[] answer =
        run(name, command, out -> new String(out.readNBytes(MAX_PROBE_BYTES), US_ASCII))
            .strip()
            .split("[,/]", -1);
    try {
      // In ffprobe's own order: width, height, the rate as a fraction, packets.
      double framesPerSecond = Double.parseDouble(answer[2]) / Double.parseDouble(answer[3]);
      long frames = Long.parseLong(answer[4]);
      if (framesPerSecond > 0 && framesPerSecond < MAX_FRAMES_PER_SECOND && frames > 0) {
        int width = Integer.parseInt(answer[0]);
        return new Probe(width, Integer.parseInt(answer[1]), framesPerSecond, frames);
      }
    } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
      throw damaged(name, e);
    }
    throw damaged(name, null);
  }

  /** Decodes the frames with these numbers, ascending, and hands each on as it comes. */
  void extract(
      String name,
      Path file,
      VideoFormat format,
      List<Long> numbers,
      ImageLimits limits,
      Consumer<Image.Rgb> frames) {
    String chosen = numbers.stream().map(n -> "eq(n\\," + n + ")").collect(Collectors.joining("+"));
    List<String> command = new ArrayList<>(List.of(ffmpeg, "-v", "error", "-nostdin"));
    command.addAll(input(file, format));
    command.addAll(
        List.of(
            "-map",
            "0:v:0",
            "-vf",
            "select=" + chosen + ",setpts=N/(" + OUTPUT_RATE + "*TB)",
            "-r",
            String.valueOf(OUTPUT_RATE),
            "-frames:v",
            String.valueOf(numbers.size()),
            "-f",
            "image2pipe",
            "-c:v",
            "ppm",
            "pipe:1"));
    run(
        name,
        command,
        out -> {
          DataInputStream in = new DataInputStream(new BufferedInputStream(out));
          for (int i = 0; i < numbers.size(); i++) {
            Optional<Image.Rgb> frame = readPpm(name, in, limits);
            frame.ifPresent(frames);
            if (frame.isEmpty()) {
              break;
            }
          }
          return true;
        });
  }

  private static List<String> input(Path file, VideoFormat format) {
    return List.of(
        "-protocol_whitelist",
        "file",
        "-f",
        format.demuxer(),
        "-i",
        "file:" + file.toAbsolutePath());
  }

  /** One frame: {@code P6 width height 255}, a space, and RGB bytes; absent at the end. */
  private static Optional<Image.Rgb> readPpm(String name, DataInputStream in, ImageLimits limits)
      throws IOException {
    int first = in.read();
    if (first < 0) {
      return Optional.empty();
    }
    if (first != 'P' || in.read() != '6' || in.read() != '\n') {
      throw new IOException("no frame where one belongs");
    }
    int width = readNumber(in);
    int height = readNumber(in);
    readNumber(in);
    limits.check(name, width, height);
    byte[] rgb = new byte[width * height * 3];
    in.readFully(rgb);
    return Optional.of(new Image.Rgb(name, width, height, rgb));
  }

  private static int readNumber(DataInputStream in) throws IOException {
    int number = 0;
    for (int c = in.readUnsignedByte(); c >= '0' && c <= '9'; c = in.readUnsignedByte()) {
      number = Math.min(number * 10 + c - '0', MAX_SIDE);
    }
    return number;
  }

  private <T> T run(String name, List<String> command, Output<T> output) {
    Process process = start(name, command);
    AtomicBoolean late = new AtomicBoolean();
    CompletableFuture<Void> alarm =
        CompletableFuture.runAsync(
            () -> {
              late.set(true);
              process.destroyForcibly();
            },
            CompletableFuture.delayedExecutor(timeLimit.toMillis(), TimeUnit.MILLISECONDS));
    try (InputStream out = process.getInputStream()) {
      T result = output.read(out);
      int status = process.waitFor();
      if (late.get()) {
        throw tooSlow(name);
      }
      if (status != 0) {
        throw damaged(name, null);
      }
      return result;
    } catch (IOException e) {
      throw late.get() ? tooSlow(name) : damaged(name, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ImageException(name + ": reading the video was interrupted", e);
    } finally {
      alarm.cancel(false);
      process.destroyForcibly();
    }
  }

  private Process start(String name, List<String> command) {
    try {
      return new ProcessBuilder(command)
          .redirectInput(Redirect.PIPE)
          .redirectError(Redirect.DISCARD)
          .start();
    } catch (IOException e) {
      throw new ImageException(
          "%s: reading this video needs ffmpeg and ffprobe on the PATH; install them (for example"
                  .formatted(name)
              + " apt install ffmpeg, brew install ffmpeg) or give an animated GIF or single frames",
          e);
    }
  }

  private ImageException tooSlow(String name) {
    return new ImageException(
        "%s: decoding the video took longer than %d seconds"
            .formatted(name, timeLimit.toSeconds()));
  }

  private static ImageException damaged(String name, @Nullable Exception cause) {
    return new ImageException(name + ": the video is damaged or holds no video stream", cause);
  }

  /** Reads what a program writes. */
  @FunctionalInterface
  private interface Output<T> {
    T read(InputStream out) throws IOException;
  }
}
