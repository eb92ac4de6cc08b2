package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.api.Image;
import org.tessera.error.ImageException;
import tools.jackson.databind.JsonNode;

class VideoFramesTest {
  private final VideoFrames videos = new VideoFrames(ImageLimits.defaults());
  @TempDir Path directory;

  @ParameterizedTest
  @ValueSource(strings = {"six.gif", "disposal1.gif", "disposal2.gif", "disposal3.gif"})
  void keepsEveryFrameOfAShortGif(String name) {
    List<String> expected =
        Pictures.expected(name).get("frames").valueStream().map(JsonNode::asString).toList();
    assertThat(videos.read(Pictures.file(name)))
        .extracting(frame -> Vectors.sha256(frame.rgb()))
        .isEqualTo(expected);
  }

  @Test
  void takesOneFrameASecondOfALongGif() {
    List<String> all =
        Pictures.expected("long.gif").get("frames").valueStream().map(JsonNode::asString).toList();
    List<String> everySecond =
        Stream.iterate(0, i -> i < all.size(), i -> i + 2).map(all::get).toList();
    assertThat(videos.read(Pictures.file("long.gif")))
        .extracting(frame -> Vectors.sha256(frame.rgb()))
        .isEqualTo(everySecond);
  }

  @Test
  void takesAPictureForAVideoOfOneFrame() {
    assertThat(videos.read(Pictures.file("plain.gif"))).hasSize(1);
  }

  @Test
  void spreadsFramesAsTheRecipeDoes() {
    assertThat(VideoFrames.spread(3)).containsExactly(0, 1, 2);
    assertThat(VideoFrames.spread(64)).hasSize(64).endsWith(63);
    assertThat(VideoFrames.spread(100)).hasSize(64).startsWith(0, 2, 3, 5, 7).endsWith(97, 99);
    assertThat(VideoFrames.spread(128)).hasSize(64).startsWith(1, 3, 5).endsWith(127);
  }

  @Test
  void refusesGifsThatHoldTooManyPixelsInAll() {
    ImageLimits small = new ImageLimits(1_000_000, 100, 100, 100);
    assertThatThrownBy(() -> new VideoFrames(small).read(Pictures.file("long.gif")))
        .isInstanceOf(ImageException.class)
        .hasMessage("long.gif: the frames of the GIF animation hold more than 1600 pixels in all");
  }

  @Test
  void readsAVideoThroughFfmpeg() throws IOException, InterruptedException {
    Path clip = clip("testsrc=size=64x48:rate=10:duration=5", "clip.mp4");
    List<Image.Rgb> frames = videos.read(clip);
    assertThat(frames).hasSize(5).allMatch(f -> f.width() == 64 && f.height() == 48);
    assertThat(frames).extracting(f -> Vectors.sha256(f.rgb())).doesNotHaveDuplicates();
    assertThat(videos.read(new Image.Encoded("clip.mp4", Files.readAllBytes(clip))))
        .extracting(f -> Vectors.sha256(f.rgb()))
        .isEqualTo(frames.stream().map(f -> Vectors.sha256(f.rgb())).toList());
  }

  @Test
  void takesSixtyFourFramesOfALongVideo() throws IOException, InterruptedException {
    // Each second has its own grey, so that the frames tell which they are.
    Path clip =
        clip(
            "color=size=32x32:rate=2:duration=100,geq=lum='2*floor(T)+20':cb=128:cr=128",
            "long.mkv");
    List<Image.Rgb> frames = videos.read(clip);
    assertThat(frames).hasSize(64);
    int[] seconds = VideoFrames.spread(100);
    int first = frames.getFirst().rgb()[0] & 0xff;
    for (int i = 0; i < 64; i++) {
      double grey = first + 2 * seconds[i] * 255 / 219.0;
      assertThat(Math.abs((frames.get(i).rgb()[0] & 0xff) - grey)).isLessThan(1.6);
    }
  }

  private Path clip(String source, String name) throws IOException, InterruptedException {
    Path clip = directory.resolve(name);
    List<String> command =
        List.of(
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            source,
            "-c:v",
            "mpeg4",
            "-q:v",
            "2",
            clip.toString());
    try {
      Process process = new ProcessBuilder(command).inheritIO().start();
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isZero();
    } catch (IOException e) {
      Assumptions.abort("there is no ffmpeg on the PATH");
    }
    return clip;
  }

  @Test
  void saysWhatToInstallWhereFfmpegIsAbsent() throws IOException {
    Ffmpeg absent = new Ffmpeg("no-such-ffmpeg", "no-such-ffprobe", Duration.ofSeconds(5));
    VideoFrames without = new VideoFrames(ImageLimits.defaults(), absent);
    assertThatThrownBy(() -> without.read(fakeMp4()))
        .isInstanceOf(ImageException.class)
        .hasMessageStartingWith(
            "clip.mp4: reading this video needs ffmpeg and ffprobe on the PATH");
  }

  @Test
  void endsAProgramThatDoesNotEnd() throws IOException {
    Path script = directory.resolve("slow");
    Files.writeString(script, "#!/bin/sh\nexec sleep 60\n");
    Assumptions.assumeTrue(
        Files.getFileStore(script).supportsFileAttributeView("posix"), "needs a POSIX shell");
    Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwx------"));
    Ffmpeg slow = new Ffmpeg(script.toString(), script.toString(), Duration.ofSeconds(1));
    VideoFrames without = new VideoFrames(ImageLimits.defaults(), slow);
    long start = System.nanoTime();
    assertThatThrownBy(() -> without.read(fakeMp4()))
        .isInstanceOf(ImageException.class)
        .hasMessage("clip.mp4: decoding the video took longer than 1 seconds");
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(30));
  }

  private Path fakeMp4() throws IOException {
    return Files.write(
        directory.resolve("clip.mp4"),
        "\0\0\0\u0010ftypisom".getBytes(StandardCharsets.ISO_8859_1));
  }

  @Test
  void refusesWhatIsNoVideo() throws IOException {
    Path playlist =
        Files.writeString(directory.resolve("list.mp4"), "#EXTM3U\nfile:///etc/passwd\n");
    assertThatThrownBy(() -> videos.read(playlist))
        .isInstanceOf(ImageException.class)
        .hasMessage("list.mp4: not a video in GIF, MP4, MOV, WebM, MKV or AVI format");
    assertThatThrownBy(() -> videos.read(directory.resolve("absent.mp4")))
        .isInstanceOf(ImageException.class)
        .hasMessage("the video file absent.mp4 cannot be read");
  }

  @Test
  void refusesDamagedVideos() throws IOException, InterruptedException {
    Path clip = clip("testsrc=size=64x48:rate=10:duration=2", "clip.mp4");
    byte[] bytes = Files.readAllBytes(clip);
    Path cut = Files.write(directory.resolve("cut.mp4"), Arrays.copyOf(bytes, 2000));
    assertThatThrownBy(() -> videos.read(cut))
        .isInstanceOf(ImageException.class)
        .hasMessage("cut.mp4: the video is damaged or holds no video stream");
  }
}
