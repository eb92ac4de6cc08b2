package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.zip.CRC32;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tessera.api.Image;
import org.tessera.error.ImageException;

/**
 * Damaged files of every format end in a picture or in an ImageException, soon, and in no other.
 */
class ImageFuzzTest {
  private static final int TRIALS = 300;
  private static final Duration TIME_LIMIT = Duration.ofSeconds(5);

  /** Limits that a damaged header cannot use to make the tests slow. */
  private static final ImageLimits LIMITS = new ImageLimits(1_000_000, 4_000_000, 65_535, 20_000);

  /** What the largest picture takes, turned upright, and tables of a fixed size. */
  private static final long MAX_ALLOCATED_BYTES = 20 * LIMITS.maxPixels() + 16_000_000;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  static List<String> pictures() {
    return Pictures.names();
  }

  @ParameterizedTest
  @MethodSource("pictures")
  void endsInAPictureOrAnImageException(String name) {
    byte[] whole = Pictures.file(name).bytes();
    SplittableRandom random = new SplittableRandom(name.hashCode());
    List<String> failures = new ArrayList<>();
    for (int trial = 0; trial < TRIALS; trial++) {
      byte[] damaged = damage(whole, random);
      if (random.nextBoolean()) {
        repairPngChecksums(damaged);
      }
      long start = System.nanoTime();
      long allocated = THREADS.getCurrentThreadAllocatedBytes();
      readPicture(new Image.Encoded(name, damaged));
      allocated = THREADS.getCurrentThreadAllocatedBytes() - allocated;
      if (allocated > MAX_ALLOCATED_BYTES) {
        failures.add("trial %d allocated %d bytes".formatted(trial, allocated));
      }
      if (name.endsWith(".gif")) {
        readVideo(new Image.Encoded(name, damaged));
      }
      Duration time = Duration.ofNanos(System.nanoTime() - start);
      if (time.compareTo(TIME_LIMIT) > 0) {
        failures.add("trial %d took %s".formatted(trial, time));
      }
    }
    assertThat(failures).isEmpty();
  }

  private static void readPicture(Image.Encoded file) {
    try {
      Image.Rgb picture = ImageDecoder.decode(file, LIMITS, true);
      assertThat((long) picture.width() * picture.height()).isLessThanOrEqualTo(LIMITS.maxPixels());
    } catch (ImageException e) {
      assertThat(e).hasMessageStartingWith(file.name() + ": ");
    }
  }

  private static void readVideo(Image.Encoded file) {
    try {
      assertThat(new VideoFrames(LIMITS).read(file)).hasSizeBetween(1, VideoFrames.MAX_FRAMES);
    } catch (ImageException e) {
      assertThat(e).hasMessageStartingWith(file.name() + ": ");
    }
  }

  private static byte[] damage(byte[] whole, SplittableRandom random) {
    byte[] damaged = whole.clone();
    // Headers are where damage does most, so that half of it goes there.
    int reach = random.nextBoolean() ? Math.min(whole.length, 64) : whole.length;
    int at = random.nextInt(reach);
    switch (random.nextInt(4)) {
      case 0 -> damaged = Arrays.copyOf(damaged, at);
      case 1 -> {
        int inserted = 1 + random.nextInt(8);
        damaged = new byte[whole.length + inserted];
        random.nextBytes(damaged);
        System.arraycopy(whole, 0, damaged, 0, at);
        System.arraycopy(whole, at, damaged, at + inserted, whole.length - at);
      }
      case 2 -> Arrays.fill(damaged, at, Math.min(at + 4, damaged.length), (byte) random.nextInt());
      default -> {
        for (int i = random.nextInt(1, 4); i > 0; i--) {
          damaged[random.nextInt(reach)] ^= (byte) (1 << random.nextInt(8));
        }
      }
    }
    return damaged;
  }

  /** Lets damage through to what lies behind the checksums. */
  private static void repairPngChecksums(byte[] png) {
    ByteBuffer bytes = ByteBuffer.wrap(png);
    int position = 8;
    while (png.length > 8 && (png[0] & 0xff) == 0x89 && png.length - position >= 12) {
      int length = bytes.getInt(position);
      if (length < 0 || length > png.length - position - 12) {
        return;
      }
      CRC32 crc = new CRC32();
      crc.update(png, position + 4, length + 4);
      bytes.putInt(position + 8 + length, (int) crc.getValue());
      position += 12 + length;
    }
  }
}
