//! A key pair for these tests (RSA 2048, PKCS #1, DER in base64). Only the stand-in accepts it.

/// The private half.
pub(super) const PRIVATE: &str = concat!(
    "MIIEowIBAAKCAQEA8Y04+QXw9lk9I61emkkfbz76m4zFRie7+l3bvL/1YCx2NWoazcq+36q6k3xZ7vRXWnXu4+bd",
    "Mhqpn45v82312Rfi03n1lhOwbG9302pkfB39madtziOOKtNF8HirxM7Qv9rDWGpEIZQZd7RYHMDFwpcElTmaIcOj",
    "HnKtqRdi94BoI3zMOGRqDraMErxjFEgAgNQFs8q+KNZWvIpEcAtRLG7fPMs2wNxjNj+lFdLhkmbTS/w7Wfhxa3BO",
    "w/w7ZLzP/Xj+wQb5eNNGPLHcT64VE7LsWYQhKyCRjoUrXb1zjcOOybq8u2b5S+fD+EbNcbHT0x2/5/r5t4miVGQK",
    "t2OyZwIDAQABAoIBADdyPs8utXKe5mFfpPUObuhG0RjOleP2L/iW/d8UQxtp6VJ2giOV8/18f6pmI3Ct5rVNl+H5",
    "dvHO2/vTotACgCnuiTMY7i4eY+NoLN27MMiqy7EvFQ357GLZL1c1I9yfypwXd7q+XdhFWhk3rPggqeRybOtiFwbE",
    "FRfipAlJ5H5CKbpwdJZhdXROQlxIrmJUP2JrPvn+11Xaaf9SPNa8NHSbm0bYK4m6OKzL4BQAnQ4N9ckDUsb5doma",
    "UpL9/UDmZBFz6hsvhiUlYl5hN2PczsJr3WlTkPpD5BHIoCeCDwLE+E1ZX5SSdo1253YC64wnleKjt8Fr5ctGVlRF",
    "QlMISnECgYEA+w7dqpDvxmGtMPIjyVo72uT+X3y2m4lQNBbSTYGqX2HqeZ+eWff9Gc+aw76y09OR1CRIrZ7exoLd",
    "TN36b/ZaY8u7ghPA2aU5EDoBvhOXCrPouEZbLRb0ptSuI//EAhhssKCX6Ta0QUTGnSgQbcpMV4VumdEmPFSZLbPn",
    "uGksUhcCgYEA9k5zqzU3tAIPV94muexfuUyXWcTt+g8eiVWWrQ0LC91jaSviJDMXAvdKV3wxtUuKGQNrKmDyar5b",
    "ToWnZP0j6Pn3WnhoTEgK+dmMEiJSihxbS8BNk/nzOf1YJhKTVsczkptcnkWoH5rf5DeuAR8V4LxfHj3onvCHlafa",
    "RcJBZDECgYEA1/PonpA/f+CDLmgKemfAtsBlQlOva8jIkZXT3lGb8KH0JBw2BOO49dvLH3dIscb6WIXBcn8G17C3",
    "lSgYBPjetZsItpIxP8XMePW8i/ij4tPwaZozUWy+k0a8aEDYJIlH7QKmyTeCA+aaBZLx1s69rkcbZPowLpMCk/p9",
    "ZvYo5o8CgYBi7eHRq39jIsys20KsvL85+wRzfwCixn3aZXEusqV0L4jlTkX3ijm87DyE5RJGIkAmidP6YpQbwbeE",
    "03QHwREyW2w5f1FNCka2UeXLxtNmO7uDsoq2W9eQvCwyppVdbodNZG+P9qRvhVJWJPMT6jtsV9zQlccgR7X9qzyl",
    "dj+zkQKBgFctxu6tlNPREw5evnRr1GAu5GkMVP5n336k537rW/ml3VimwVDINhOpg8vEwAGepJDmuzvPRRCy/f8l",
    "sTAfQjYeWonDv+uTuWm9y/RaSyGLdSCZpwZjZEWB7PFvwBPL9mRzy3vy7/SAk5os9gANGNONYiGG/T2hrTrFt2mz",
    "HNUL",
);

/// The public half.
pub(super) const PUBLIC: &str = concat!(
    "MIIBCgKCAQEA8Y04+QXw9lk9I61emkkfbz76m4zFRie7+l3bvL/1YCx2NWoazcq+36q6k3xZ7vRXWnXu4+bdMhqp",
    "n45v82312Rfi03n1lhOwbG9302pkfB39madtziOOKtNF8HirxM7Qv9rDWGpEIZQZd7RYHMDFwpcElTmaIcOjHnKt",
    "qRdi94BoI3zMOGRqDraMErxjFEgAgNQFs8q+KNZWvIpEcAtRLG7fPMs2wNxjNj+lFdLhkmbTS/w7Wfhxa3BOw/w7",
    "ZLzP/Xj+wQb5eNNGPLHcT64VE7LsWYQhKyCRjoUrXb1zjcOOybq8u2b5S+fD+EbNcbHT0x2/5/r5t4miVGQKt2Oy",
    "ZwIDAQAB",
);
