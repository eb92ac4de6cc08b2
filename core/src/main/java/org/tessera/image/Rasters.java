package org.tessera.image;

import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import org.tessera.api.Image;

/**
 * Decoded rasters to RGB as Pillow's {@code convert("RGB")} does it: palettes are looked up, grey
 * is repeated, alpha is left out and not composited, 16 bits keep their upper 8, fewer than 8 are
 * spread to 0 to 255.
 */
final class Rasters {
  private Rasters() {}

  static Image.Rgb rgb(String name, BufferedImage image) {
    return image.getColorModel() instanceof IndexColorModel palette
        ? ofPalette(name, image.getRaster(), colours(palette))
        : ofSamples(name, image.getRaster());
  }

  /** Whether this is grey of 16 bits without alpha. */
  static boolean isGreyOf16Bits(BufferedImage image) {
    Raster raster = image.getRaster();
    return raster.getNumBands() == 1
        && raster.getSampleModel().getSampleSize(0) == 16
        && !(image.getColorModel() instanceof IndexColorModel);
  }

  /** Pillow keeps 16-bit grey whole and clips it at 255, where it scales all other depths. */
  static Image.Rgb clippedGrey(String name, Raster raster) {
    int width = raster.getWidth();
    byte[] rgb = new byte[width * raster.getHeight() * 3];
    int[] row = new int[width];
    int out = 0;
    for (int y = 0; y < raster.getHeight(); y++) {
      for (int sample : raster.getSamples(0, y, width, 1, 0, row)) {
        byte value = (byte) Math.min(sample, 255);
        rgb[out++] = value;
        rgb[out++] = value;
        rgb[out++] = value;
      }
    }
    return new Image.Rgb(name, width, raster.getHeight(), rgb);
  }

  /** Looks up each sample among colours that hold red, green and blue in their lower 24 bits. */
  static Image.Rgb ofPalette(String name, Raster raster, int[] colours) {
    int width = raster.getWidth();
    int height = raster.getHeight();
    byte[] rgb = new byte[width * height * 3];
    int[] row = new int[width];
    int out = 0;
    for (int y = 0; y < height; y++) {
      raster.getSamples(0, y, width, 1, 0, row);
      for (int index : row) {
        int colour = index < colours.length ? colours[index] : 0;
        rgb[out++] = (byte) (colour >> 16);
        rgb[out++] = (byte) (colour >> 8);
        rgb[out++] = (byte) colour;
      }
    }
    return new Image.Rgb(name, width, height, rgb);
  }

  private static int[] colours(IndexColorModel palette) {
    int[] colours = new int[palette.getMapSize()];
    palette.getRGBs(colours);
    return colours;
  }

  private static Image.Rgb ofSamples(String name, Raster raster) {
    int width = raster.getWidth();
    int height = raster.getHeight();
    int bands = raster.getNumBands();
    byte[] rgb = new byte[width * height * 3];
    for (int channel = 0; channel < 3; channel++) {
      // One band is grey, two are grey and alpha.
      int band = bands < 3 ? 0 : channel;
      int bits = raster.getSampleModel().getSampleSize(band);
      int[] samples = new int[width];
      for (int y = 0; y < height; y++) {
        raster.getSamples(0, y, width, 1, band, samples);
        int out = y * width * 3 + channel;
        for (int sample : samples) {
          rgb[out] = (byte) toByte(sample, bits);
          out += 3;
        }
      }
    }
    return new Image.Rgb(name, width, height, rgb);
  }

  private static int toByte(int sample, int bits) {
    return bits >= 8 ? sample >>> (bits - 8) : sample * 255 / ((1 << bits) - 1);
  }
}
