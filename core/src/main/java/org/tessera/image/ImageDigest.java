package org.tessera.image;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.stream.IntStream;
import org.tessera.api.Image;

/**
 * What a picture is to the model: SHA-256 over its pixels and everything that changes how they are
 * processed, each part preceded by its length, so that no two inputs share a digest by running into
 * each other. For the pixels stand the SHA-256 of each 256 KiB of them, which all cores compute. A
 * key for caches of encoded pictures.
 *
 * @param hex 64 hexadecimal digits
 */
public record ImageDigest(String hex) {
  private static final int PIECE_BYTES = 256 << 10;

  /**
   * The digest of a picture.
   *
   * @param maxSliceNums slices at most, as it will be processed
   * @param salt keeps tenants or checkpoints that share a cache apart; may be empty
   */
  public static ImageDigest of(Image.Rgb picture, int maxSliceNums, String salt) {
    MessageDigest sha256 = sha256();
    update(sha256, "tessera.image.2".getBytes(StandardCharsets.US_ASCII));
    update(sha256, salt.getBytes(StandardCharsets.UTF_8));
    ByteBuffer numbers = ByteBuffer.allocate(3 * Integer.BYTES);
    numbers.putInt(picture.width()).putInt(picture.height()).putInt(maxSliceNums);
    update(sha256, numbers.array());
    byte[] rgb = picture.rgb();
    IntStream.range(0, Math.ceilDiv(rgb.length, PIECE_BYTES))
        .parallel()
        .mapToObj(piece -> digest(rgb, piece * PIECE_BYTES))
        .toList()
        .forEach(piece -> update(sha256, piece));
    return new ImageDigest(HexFormat.of().formatHex(sha256.digest()));
  }

  private static byte[] digest(byte[] rgb, int from) {
    MessageDigest sha256 = sha256();
    sha256.update(rgb, from, Math.min(PIECE_BYTES, rgb.length - from));
    return sha256.digest();
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  private static void update(MessageDigest digest, byte[] part) {
    digest.update(ByteBuffer.allocate(Long.BYTES).putLong(0, part.length));
    digest.update(part);
  }
}
